"""An agent that is told something in one process and knows it in the next: offline, on a real model and a real database.

    python examples/remember.py                                                  the whole demonstration
    python examples/remember.py tell --url file:./x.db --thread 1 --name Ada     one process: tell the agent a name and some facts
    python examples/remember.py ask --url file:./x.db --thread 1                 another process: ask it

`tell` takes several names and as many threads: `--thread 1 2 --name Ada Tom`. With OPENAI_API_KEY set, OpenAI's model answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from mastra_core import Agent, Mastra, Memory
from mastra_local.prompts import REMEMBERING

FACTS = ("I live in Lisbon.", "My favourite colour is teal.")
QUESTIONS = ("What is my name?", "Where do I live?", "What is my favourite colour?")
USER = "user-456"


def friend() -> Agent:
    """An agent that remembers the last ten messages of a conversation."""
    model = "openai/gpt-5.1" if os.environ.get("OPENAI_API_KEY") else "local/smollm2-135m"
    return Agent(id="friend", instructions=REMEMBERING, model=model, memory=Memory())


async def tell(url: str, threads: list[str], names: list[str], facts: tuple[str, ...]) -> list[dict[str, object]]:
    """Tell the agent a name, and facts, in each thread; what it answered."""
    said: list[dict[str, object]] = []
    async with Mastra(storage=url, agents={"friend": friend()}) as mastra:
        agent = mastra.get_agent("friend")
        for thread, name in zip(threads, names, strict=True):
            for text in (f"Hi, my name is {name}.", *facts):
                result = await agent.generate(text, thread=thread, resource=USER)
                said.append({"thread": thread, "told": text, "answer": result.text})
    return said


async def ask(url: str, threads: list[str], questions: tuple[str, ...]) -> list[dict[str, object]]:
    """Ask the agent in each thread; what it answered, and what it had read from memory before."""
    said: list[dict[str, object]] = []
    async with Mastra(storage=url, agents={"friend": friend()}) as mastra:
        agent = mastra.get_agent("friend")
        for thread in threads:
            for text in questions:
                result = await agent.generate(text, thread=thread, resource=USER)
                read = [f"{message.role}: {message.content.get('content', '')}" for message in result.recalled]
                said.append({"thread": thread, "asked": text, "answer": result.text, "read": read})
    return said


def in_a_process(*arguments: str) -> list[dict[str, object]]:
    """What this program answers in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answers: list[dict[str, object]] = json.loads(done.stdout)
    return answers


def missed(wanted: str, *, answer: str, read: list[str]) -> str:
    """Which step failed, if *wanted* was not answered: it was not read from memory, or the model read it and did not say it."""
    if wanted.lower() in answer.lower():
        return ""
    if not any(wanted in message for message in read):
        return f"         MISSED: {wanted} was not read from memory\n"
    return (
        f"         missed by the model: {wanted} was read from memory. It has 135 million parameters; see plugins/mastra-local/README.md\n"
    )


def demonstrate(path: Path, name: str) -> None:
    """Tell in one process, ask in another, and show what lies in the database."""
    url = f"file:{path}"
    thread = f"demo-{os.getpid()}"
    print(f"Process 1 is told a name and some facts (the model runs in it, offline; the data goes to {path}).\n")
    for line in in_a_process("tell", "--url", url, "--thread", thread, "--name", name):
        print(f"  you:   {line['told']}\n  agent: {line['answer']}\n")
    print("Process 1 has ended. Process 2 starts, knows nothing, and is asked.\n")
    asked = in_a_process("ask", "--url", url, "--thread", thread)
    for line, wanted in zip(asked, (name, "Lisbon", "teal"), strict=True):
        read = line["read"]
        assert isinstance(read, list)
        print(f"  you:   {line['asked']}\n  agent: {line['answer']}      (after reading {len(read)} messages from memory)")
        print(missed(wanted, answer=str(line["answer"]), read=read))
    first = asked[0]["read"]
    assert isinstance(first, list)
    print("What process 2 read from memory before its first answer:\n")
    print("\n".join(f"  {message}" for message in first))
    print(f"\nThe data is in {path.resolve()}. `mastra messages {url} {thread}` shows it:\n", flush=True)
    subprocess.run([Path(sys.executable).with_name("mastra"), "messages", url, thread], check=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("demo", "tell", "ask"), default="demo")
    parser.add_argument("--url", help="the database; file:./remember.db if not given")
    parser.add_argument("--thread", nargs="+", default=["123"])
    parser.add_argument("--name", nargs="+", default=["Ada"])
    parser.add_argument("--only-names", action="store_true", help="tell and ask for names alone")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    url = given.url or "file:./remember.db"
    if given.what == "demo":
        demonstrate(Path(url.removeprefix("file:")), given.name[0])
        return
    if given.what == "tell":
        answers = asyncio.run(tell(url, given.thread, given.name, () if given.only_names else FACTS))
    else:
        answers = asyncio.run(ask(url, given.thread, QUESTIONS[:1] if given.only_names else QUESTIONS))
    lines = [f"{line.get('told', line.get('asked'))} -> {line['answer']}" for line in answers]
    print(json.dumps(answers) if given.json else "\n".join(lines))


if __name__ == "__main__":
    main()
