"""Semantic recall with the real small embedder: what a user told long ago is found by a question in other words."""

from __future__ import annotations

from pathlib import Path

from mastra_core import Memory, MemoryOptions, SemanticRecall
from mastra_core.storage import LibSQLStore
from mastra_core.storage.libsql.vectors import LibSQLVector
from mastra_core.storage.records.kinds import Message

FACTS = (
    ("My cat is called Biscuit.", "What is the name of my pet?"),
    ("I work as a nurse in a children's hospital.", "What do I do for a living?"),
    ("I was born in Porto.", "Which city do I come from?"),
    ("My sister Clara lives in Toronto.", "Where does my sibling live?"),
    ("I am allergic to peanuts.", "Which food makes me ill?"),
    ("My favourite colour is teal.", "Which color do I like best?"),
    ("I drive an old green Volvo.", "What car do I have?"),
    ("We got married in June 2014.", "When was my wedding?"),
    ("I play the cello in an amateur orchestra.", "Which instrument do I play?"),
    ("My daughter Ines starts school in September.", "What is my child's name?"),
    ("I go running every Sunday morning along the river.", "What sport do I do at the weekend?"),
    ("I do not drink alcohol.", "Would I like a glass of wine?"),
    ("My landlord raised the rent to 950 euros.", "How much do I pay for my flat?"),
    ("I am reading Moby Dick at the moment.", "Which book am I reading?"),
    ("I take my coffee black, without sugar.", "How do I like my coffee?"),
    ("My passport expires in March.", "Until when can I travel with my passport?"),
    ("I broke my left arm when I was nine.", "Which bone did I break as a child?"),
    ("I speak Portuguese, English and a little German.", "Which languages do I know?"),
    ("My boss is called Mr Okafor.", "Who is my manager?"),
    ("I want to learn to sail next summer.", "What do I plan to learn?"),
    ("My laptop is a second-hand ThinkPad.", "What computer do I use?"),
    ("I am afraid of heights.", "What frightens me?"),
    ("Grandmother's recipe for apple pie uses cinnamon and rum.", "What goes into the apple pie of my grandma?"),
    ("My train leaves at 7:42 every morning.", "At what time do I commute?"),
    ("I have a dentist appointment on Thursday.", "When do I see the dentist?"),
    ("I support Benfica.", "Which football club do I follow?"),
    ("My flat is on the fourth floor and has no lift.", "On which floor do I live?"),
    ("I studied chemistry in Coimbra.", "What was my subject at university?"),
    ("My phone's screen is cracked.", "What is wrong with my mobile?"),
    ("I adopted a greyhound called Flash.", "What breed is my dog?"),
    ("I collect stamps from island nations.", "What is my hobby collection?"),
    ("My brother is getting divorced.", "What is happening in my brother's marriage?"),
    ("I never eat meat.", "Am I a vegetarian?"),
    ("My birthday is on the second of May.", "When was I born, which day of the year?"),
    ("I owe Tomas forty euros.", "To whom do I owe money?"),
    ("The wifi password is written under the router.", "Where do I find the internet password?"),
    ("I sleep badly when the moon is full.", "When do I have trouble sleeping?"),
    ("My wife plays chess for the city's team.", "Which game does my spouse play?"),
    ("I am saving money for a trip to Japan.", "Which country do I want to visit?"),
    ("My desk at work is next to the window.", "Where do I sit in the office?"),
)
SMALL_TALK = (
    "Good morning!", "Could you repeat that?", "It rained all day yesterday.", "Thanks, that helps.", "The news was dull tonight.",
    "How do planes stay up?", "Tell me a joke.", "What is seven times eight?", "The meeting was moved.", "Translate hello into French.",
    "Write a haiku about autumn.", "Who painted the Mona Lisa?", "The bus was late again.", "Explain photosynthesis.", "What is a monad?",
    "I like that idea.", "Please be brief.", "Is it going to snow?", "Set a timer for ten minutes.", "The soup was too salty.",
    "How far is the moon?", "Summarise this article.", "Which year did the war end?", "That was funny.", "Never mind.",
    "What is the capital of Chile?", "Play some music.", "The neighbours are noisy.", "How old is the universe?", "See you tomorrow.",
    "Can you check my spelling?", "What rhymes with orange?", "The shop was closed.", "Recommend a film.", "How do I boil an egg?",
    "I have no idea.", "Count to ten in Spanish.", "What is entropy?", "The printer is out of paper.", "Good night.",
)  # fmt: skip


async def test_of_40_facts_at_least_35_are_among_the_three_found_first(tmp_path: Path) -> None:
    """Must hold: "With the real small embedder: 40 remembered facts, 40 questions, recall at 3 of at least 35 (37 measured for this model)."

    The facts stand among as much small talk, in one thread of one file.
    """
    url = f"file:{tmp_path / 'memory.db'}"
    options = MemoryOptions(semantic_recall=SemanticRecall(top_k=3, message_range=0))
    memory = Memory(LibSQLStore(url=url), vector=LibSQLVector(url=url), embedder="local/all-minilm-l6-v2", options=options)
    try:
        await memory.create_thread(thread_id="told", resource_id="u")
        texts = [text for (fact, _), talk in zip(FACTS, SMALL_TALK, strict=True) for text in (fact, talk)]
        await memory.save_messages([_said(text, number) for number, text in enumerate(texts)])
        missed = []
        for fact, question in FACTS:
            page = await memory.recall(thread_id="told", resource_id="u", vector_search_string=question, per_page=0)
            assert len(page.items) == 3
            if fact not in [message.content["content"] for message in page]:
                missed.append((question, fact))
        print(f"recall at 3: {len(FACTS) - len(missed)} of {len(FACTS)}; missed: {missed}")
        assert len(FACTS) - len(missed) >= 35, missed
    finally:
        await memory.close()


def _said(text: str, number: int) -> Message:
    content = {"format": 2, "parts": [{"type": "text", "text": text}], "content": text}
    return Message(id=f"m{number}", thread_id="told", resource_id="u", content=content)
