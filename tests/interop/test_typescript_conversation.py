"""An agent of the real `@mastra/core` with the real `@mastra/memory` goes on with what our agent began, and ours with its.

Issue 4: "The real `@mastra/memory` on Node continues a conversation that a Python agent began (history, working memory, recall and title all
work), and the other way round."
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from mastra_core import OwnershipError, WorkingMemory, tool
from mastra_core.agent.messages import text_of
from mastra_core.agent.model import ToolCall
from mastra_core.testing.equality import assert_same
from tests.interop.conversing import HERE, WEATHER, Ours, Step, call, in_mind, our_steps, ours, their_steps, their_system, theirs, turn
from tests.interop.shapes import message, thread
from tests.unit.memory.talking import calls

ADA = "# User Information\n- **First Name**: Ada, née Byron\n- **Location**: Lisbon 🚋"
GRACE = "# User Information\n- **First Name**: Grace"
BEGUN: list[Step] = [
    ("user", "I am Ada, from Lisbon"),
    ("assistant", "Hello Ada."),
    ("user", "How is the weather there?"),
    ("assistant", "Let me look."),
    ("call", ("call_1", "get_weather", {"city": "Lisbon"})),
    ("call", ("call_2", "get_weather", {"city": "Porto"})),
    ("result", ("call_1", {"city": "Lisbon", **WEATHER})),
    ("result", ("call_2", {"city": "Porto", **WEATHER})),
    ("assistant", "It is 12.5 degrees."),
]
"""What is said in the first two turns of the thread t1, whoever's agent begins; the call of updateWorkingMemory is not kept."""
ADDED: list[Step] = [
    ("user", "Does my cat play the piano?"),
    ("assistant", "It does."),
    ("user", "Call me Grace, and how is Oslo?"),
    ("call", ("call_3", "get_weather", {"city": "Oslo"})),
    ("result", ("call_3", {"city": "Oslo", **WEATHER})),
    ("assistant", "Wet, take bread."),
]
"""What is said in the next two turns, to the agent of the other language."""


async def assert_whole(we: Ours, read: dict[str, Any], *, title: str) -> None:
    """Both languages read the same thread and messages, each message once, and each has one vector."""
    stored, found = await we.messages(), await we.thread()
    assert found.title == title
    assert_same(read["thread"], thread(found))
    assert_same(read["messages"], [message(one) for one in stored])
    await we.assert_embedded("t0", "t1")


async def test_typescript_goes_on_with_our_conversation_and_we_with_what_it_added(tmp_path: Path) -> None:
    """Must hold: "The real `@mastra/memory` on Node continues a conversation that a Python agent began" …

    … "(history, working memory, recall and title all work)": history with calls and results, what was said in another thread, there and back.
    """
    url = f"file:{tmp_path}/shared.db"
    both = (
        ToolCall(id="call_1", name="get_weather", arguments={"city": "Lisbon"}),
        ToolCall(id="call_2", name="get_weather", arguments={"city": "Porto"}),
    )
    learns, asks = calls("updateWorkingMemory", memory=ADA), attrs.evolve(calls(""), text="Let me look.", tool_calls=both)
    async with ours(url, "Noted.", learns, "Hello Ada.", asks, "It is 12.5 degrees.") as we:
        await we.agent.generate("My cat plays the piano", thread="t0", resource="u1")
        await we.agent.generate("I am Ada, from Lisbon", **HERE)
        await we.agent.drain()
        await we.agent.generate("How is the weather there?", **HERE)
    learns_more, asks_more = call("updateWorkingMemory", "call_4", memory=GRACE), call("get_weather", "call_3", city="Oslo")
    told = theirs(url, turn(ADDED[0][1], "It does."), turn(ADDED[2][1], learns_more, asks_more, "Wet, take bread."))
    (first,), second = told["turns"][0]["asked"], told["turns"][1]["asked"]
    assert their_steps(first) == [*BEGUN, *ADDED[:1]]
    assert in_mind(ADA) in their_system(first)
    assert "User: My cat plays the piano\n<end_remembered_from_other_conversation>" in their_system(first)
    assert their_steps(second[0]) == [*BEGUN, *ADDED[:3]]
    assert told["titles"] == []
    async with ours(url, "You do.") as we:
        await assert_whole(we, told["read"], title="Our title")
        result = await we.agent.generate("Do I like bread?", **HERE)
        assert our_steps(we.model.requests[0]) == [*BEGUN, *ADDED, ("user", "Do I like bread?")]
        assert in_mind(GRACE) in we.model.system()
        assert [text_of(one.message) for one in result.similar] == ["Wet, take bread."]
        assert (we.titles.requests, result.missed) == ([], ())


async def test_we_go_on_with_a_conversation_of_typescript_and_it_with_what_we_added(tmp_path: Path) -> None:
    """Must hold: "and the other way round": what its agent kept is what ours is told, and it reads what ours adds."""
    url = f"file:{tmp_path}/shared.db"
    learns = call("updateWorkingMemory", "call_0", memory=ADA)
    asks = [{"text": "Let me look."}, call("get_weather", "call_1", city="Lisbon"), call("get_weather", "call_2", city="Porto")]
    begun = theirs(
        url,
        turn("My cat plays the piano", "Noted.", thread="t0"),
        turn("I am Ada, from Lisbon", learns, "Hello Ada."),
        turn("How is the weather there?", asks, "It is 12.5 degrees."),
    )
    assert len(begun["titles"]) == 2
    learns_more, asks_more = calls("updateWorkingMemory", memory=GRACE), calls("get_weather", call_id="call_3", city="Oslo")
    async with ours(url, "It does.", learns_more, asks_more, "Wet, take bread.") as we:
        before = await we.thread()
        result = await we.agent.generate("Does my cat play the piano?", **HERE)
        assert our_steps(we.model.requests[0]) == [*BEGUN, *ADDED[:1]]
        assert in_mind(ADA) in we.model.system(0)
        assert "user: My cat plays the piano\n</remembered_from_other_conversation>" in we.model.system(0)
        assert [(one.message.thread_id, text_of(one.message)) for one in result.similar] == [("t0", "My cat plays the piano")]
        assert result.similar[0].score == pytest.approx(1)
        await we.agent.generate(ADDED[2][1], **HERE)
        await we.agent.drain()
        assert we.titles.requests == []
        after = await we.thread()
        assert (after.title, after.created_at, after.metadata) == ("Their title", before.created_at, before.metadata)
        assert after.updated_at > before.updated_at
    told = theirs(url, turn("Do I like bread?", "You do.", thread="t0"), turn("Thanks", "Welcome."))
    (elsewhere,), (last,) = told["turns"][0]["asked"], told["turns"][1]["asked"]
    assert "Assistant: Wet, take bread.\n<end_remembered_from_other_conversation>" in their_system(elsewhere)
    assert their_steps(last) == [*BEGUN, *ADDED, ("user", "Thanks")]
    assert in_mind(GRACE) in their_system(last)
    assert told["titles"] == []
    async with ours(url) as we:
        await assert_whole(we, told["read"], title="Their title")


@pytest.mark.parametrize("scope", ["thread", "resource"])
async def test_what_is_known_by_a_schema_is_kept_by_both_in_turns(tmp_path: Path, scope: Any) -> None:
    """Each lays its changes over what the other wrote, in either scope, and the thread's own metadata stays.

    Ours removes by null; TypeScript drops the nulls of optional fields before it merges (contract §5.7), so there the city stays.
    """
    url = f"file:{tmp_path}/shared.db"
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in ("name", "city", "pet")}}
    feature, theirs_is = WorkingMemory(scope=scope, schema=schema), {"scope": scope, "schema": schema}
    learns = calls("updateWorkingMemory", memory={"name": "Ada", "city": "Łódź"})
    async with ours(url, learns, "Hello.", working_memory=feature) as we:
        await we.agent.generate("I am Ada", thread={"id": "t1", "title": "Names", "metadata": {"kept": [1, {}]}}, resource="u1")
    learns_more = call("updateWorkingMemory", "call_2", memory={"pet": "cat", "city": None})
    told = theirs(url, turn("I have a cat now, and no city", learns_more, "Done."), working_memory=theirs_is)
    assert in_mind('{"name":"Ada","city":"Łódź"}') in their_system(told["turns"][0]["asked"][0])
    both = '{"name":"Ada","city":"Łódź","pet":"cat"}'
    assert told["read"]["working"] == both
    async with ours(url, calls("updateWorkingMemory", memory={"city": None}), "Done.", working_memory=feature) as we:
        await we.agent.generate("Forget the city", **HERE)
        assert in_mind(both) in we.model.system(0)
    told = theirs(url, turn("Who am I?", "Ada."), working_memory=theirs_is)
    left = '{"name":"Ada","pet":"cat"}'
    assert in_mind(left) in their_system(told["turns"][0]["asked"][0])
    assert told["read"]["thread"]["metadata"] == {"kept": [1, {}]} | ({"workingMemory": left} if scope == "thread" else {})
    assert told["read"]["thread"]["title"] == "Names"


async def test_what_is_older_than_the_history_is_found_by_meaning_in_both(tmp_path: Path) -> None:
    """In one thread, each finds the other's words by the other's vectors; they stand before the newest messages, once."""
    url = f"file:{tmp_path}/shared.db"
    async with ours(url, "Fine.", last_messages=2) as we:
        await we.agent.generate("My dog is teal", **HERE)
        await we.agent.generate("Hm", **HERE)
    told = theirs(url, turn("I bake bread", "Good."), turn("Which dog is teal?", "Yours."), last_messages=2)
    (asked,) = told["turns"][1]["asked"]
    assert their_steps(asked) == [
        ("user", "My dog is teal"),
        ("user", "I bake bread"),
        ("assistant", "Good."),
        ("user", "Which dog is teal?"),
    ]
    async with ours(url, "You do.", last_messages=2) as we:
        result = await we.agent.generate("Who bakes bread?", **HERE)
        assert [text_of(one.message) for one in result.similar] == ["I bake bread"]
        newest = [("user", "Which dog is teal?"), ("assistant", "Yours.")]
        assert our_steps(we.model.requests[0]) == [("user", "I bake bread"), *newest, ("user", "Who bakes bread?")]


async def test_a_thread_without_a_title_gets_one_from_whoever_comes_next(tmp_path: Path) -> None:
    """Ours changes nothing but the title; TypeScript sets the thread's times to now (contract §9.2), and keeps what is known in it."""
    url = f"file:{tmp_path}/shared.db"
    of_thread = WorkingMemory(scope="thread")
    async with ours(url, calls("updateWorkingMemory", memory=ADA), "Hello.", title="", working_memory=of_thread) as we:
        await we.agent.generate("I am Ada", **HERE)
        before = await we.thread()
    told = theirs(url, turn("Go on", "Yes."), turn("Another", "Yes.", thread="t2"), working_memory={"scope": "thread"}, title="Named there")
    assert "User: I am Ada\nAssistant: Hello." in told["titles"][0]["prompt"][1]["content"][0]["text"]
    theirs(url, turn("Nameless", "Yes.", thread="t3"), title="")
    async with ours(url, "Indeed.", title="Named here") as we:
        named = await we.thread()
        assert (named.title, named.metadata) == ("Named there", {"workingMemory": ADA})
        assert named.created_at > before.created_at
        nameless = await we.thread("t3")
        assert nameless.title == ""
        await we.agent.generate("Still there?", thread="t3", resource="u1")
        await we.agent.drain()
        assert we.titles.said() == ["User: Nameless\nAssistant: Yes.\nUser: Still there?\nAssistant: Indeed."]
        assert ((await we.thread("t3")).title, (await we.thread("t3")).created_at) == ("Named here", nameless.created_at)


async def test_a_thread_of_one_user_is_closed_to_another_in_both(tmp_path: Path) -> None:
    """Whoever's agent made it: the model is not asked, and nothing is written."""
    url = f"file:{tmp_path}/shared.db"
    async with ours(url, "Hello.") as we:
        await we.agent.generate("I am Ada", **HERE)
    told = theirs(url, turn("Who is here?", "Ada.", resource="u2"), turn("I am Grace", "Hello.", thread="t2"))
    owned = 'Thread "t1" belongs to resource "u1" but resource "u2" was provided.'
    assert told["turns"][0]["refused"].startswith(owned)
    assert told["turns"][0]["asked"] == []
    async with ours(url, "Grace.") as we:
        with pytest.raises(OwnershipError, match="Thread with id t2 is for resource with id u1 but resource u2 was queried"):
            await we.agent.generate("Who is here?", thread="t2", resource="u2")
        assert we.model.requests == []
        assert [text_of(one) for name in ("t1", "t2") for one in await we.messages(name)] == ["I am Ada", "Hello.", "I am Grace", "Hello."]


PICTURE = "data:image/png;base64,aGVsbG8="


async def test_files_and_calls_that_came_to_nothing_are_understood_by_typescript(tmp_path: Path) -> None:
    """Its model sees the file, why a call failed and why a person refused one; a call that waits is left out, as ours leaves it out."""
    url = f"file:{tmp_path}/shared.db"

    @tool(requires_approval=True)
    def pay(euros: int) -> str:
        return f"paid {euros}"

    pays, pays_more = calls("pay", call_id="call_2", euros=3), calls("pay", call_id="call_3", euros=4)
    async with ours(
        url,
        calls("get_weather", city="Atlantis"),
        calls("get_weather", call_id="call_0", city="Nowhere"),
        "A shark.",
        pays,
        "As you wish.",
        pays_more,
    ) as we:
        seen = {"role": "user", "content": [{"type": "text", "text": "Is this there?"}, {"type": "file", "data": PICTURE}]}
        await we.agent.generate(seen, **HERE)
        await we.agent.generate("Pay 3", tools=[pay], **HERE)
        await we.agent.resume(approvals={"call_2": "too much"}, tools=[pay], **HERE)
        await we.agent.generate("Pay 4", tools=[pay], **HERE)
    (asked,) = theirs(url, turn("And now?", "We wait."))["turns"][0]["asked"]
    assert their_steps(asked) == [
        ("user", "Is this there?"),
        ("file", ("image/png", "aGVsbG8=")),
        ("call", ("call_1", "get_weather", {"city": "Atlantis"})),
        ("result", ("call_1", "ValueError: no such city")),
        ("call", ("call_0", "get_weather", {"city": "Nowhere"})),
        ("result", ("call_0", None)),
        ("assistant", "A shark."),
        ("user", "Pay 3"),
        ("call", ("call_2", "pay", {"euros": 3})),
        ("result", ("call_2", "too much")),
        ("assistant", "As you wish."),
        ("user", "Pay 4"),
        ("user", "And now?"),
    ]


async def test_files_and_calls_that_came_to_nothing_are_understood_by_us(tmp_path: Path) -> None:
    """The same the other way round; TypeScript notes a waiting call otherwise than we do, and we leave it out all the same."""
    url = f"file:{tmp_path}/shared.db"
    file = {"type": "file", "data": PICTURE, "mediaType": "image/png"}
    seen = [{"role": "user", "content": [{"type": "text", "text": "Is this there?"}, file]}]
    theirs(url, turn(seen, call("get_weather", "call_1", city="Atlantis"), call("get_weather", "call_0", city="Nowhere"), "A shark."))
    theirs(url, turn("And Oslo?", call("get_weather", "call_2", city="Oslo")), approval=True)
    async with ours(url, "We wait.") as we:
        await we.agent.generate("And now?", **HERE)
        assert our_steps(we.model.requests[0]) == [
            ("user", "Is this there?"),
            ("file", ("image/png", PICTURE)),
            ("call", ("call_1", "get_weather", {"city": "Atlantis"})),
            ("result", ("call_1", "Error: no such city")),
            ("call", ("call_0", "get_weather", {"city": "Nowhere"})),
            ("result", ("call_0", "null")),
            ("assistant", "A shark."),
            ("user", "And Oslo?"),
            ("user", "And now?"),
        ]


async def test_typescript_understands_thoughts_and_answers_that_were_cut_short(tmp_path: Path) -> None:
    """A run that ended with a call at `max_steps`, and a stream that was left early, are answers like others for its agent."""
    url = f"file:{tmp_path}/shared.db"
    asks = attrs.evolve(calls("get_weather", city="Oslo"), reasoning="I need the weather.")
    async with ours(url, asks, "Once upon a time") as we:
        await we.agent.generate("How is Oslo?", max_steps=1, **HERE)
        async with we.agent.stream("Tell me a tale", **HERE) as stream:
            async for _ in stream.text_stream:
                break
    (asked,) = theirs(url, turn("Go on", "There was a cat."))["turns"][0]["asked"]
    assert their_steps(asked) == [
        ("user", "How is Oslo?"),
        ("reasoning", "I need the weather."),
        ("call", ("call_1", "get_weather", {"city": "Oslo"})),
        ("result", ("call_1", {"city": "Oslo", **WEATHER})),
        ("user", "Tell me a tale"),
        ("assistant", "Once upon a time"),
        ("user", "Go on"),
    ]


async def test_what_one_forgets_the_other_cannot_recall(tmp_path: Path) -> None:
    """Threads and messages that are deleted take the vectors along, whoever wrote them."""
    url = f"file:{tmp_path}/shared.db"
    async with ours(url, "Fine.") as we:
        await we.agent.generate("My cat is here", thread="t0", resource="u1")
        told = await we.agent.generate("My dog is there", **HERE)
    theirs(
        url,
        turn("I play the piano", "Good.", thread="t2"),
        turn("I bake bread", "Good."),
        forget_thread="t0",
        forget_message=told.messages[0].id,
    )
    async with ours(url, "Hm.") as we:
        assert [text_of(one) for one in await we.messages()] == ["Fine.", "I bake bread", "Good."]
        await we.memory.delete_thread("t2")
        await we.memory.delete_messages([(await we.messages())[1].id])
        for word in ("cat", "dog", "piano", "bread"):
            assert (await we.agent.generate(f"Where is my {word}?", thread="t3", resource="u1")).similar == ()
        await we.assert_embedded("t1", "t3")


async def test_both_talk_at_the_same_time_on_one_file(tmp_path: Path) -> None:
    """While its process writes, ours stays open and writes too: nothing of either is lost, and each has its vectors."""
    url, said = f"file:{tmp_path}/shared.db", [f"I said {number}" for number in range(10)]
    async with ours(url, "Fine.") as we:
        await we.agent.generate(said[0], **HERE)
        talking = asyncio.create_task(asyncio.to_thread(theirs, url, *(turn(text, "Yes.", thread="t2") for text in said)))
        while not talking.done():
            result = await we.agent.generate("And I", **HERE)
            assert result.missed == ()
            await asyncio.wait([talking], timeout=0.02)
        assert [one["refused"] for one in (await talking)["turns"]] == [None] * len(said)
        heard = await we.agent.generate("Done?", thread="t2", resource="u1", options={"last_messages": 100})
        assert our_steps(we.model.requests[-1])[:-1] == [one for text in said for one in (("user", text), ("assistant", "Yes."))]
        assert heard.missed == ()
        await we.assert_embedded("t1", "t2")
