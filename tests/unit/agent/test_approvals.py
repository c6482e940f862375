"""Tools that a person must allow: the run waits in its thread, and goes on in whatever process the person answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mastra_core import Agent, ConfigurationError, ConflictError, Memory, tool
from mastra_core.agent.tools import Tool
from mastra_core.storage import LibSQLStore
from tests.unit.agent.models import CountingStore, ScriptedModel, call, calling, stored

HERE: dict[str, Any] = {"thread": "t1", "resource": "u1"}
SEND = call("send_mail", to="ada@example.org")


class Office:
    """An agent that may look things up, and must ask before it sends mail; `sent` is what it sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def tools(self) -> list[Tool | Callable[..., Any]]:
        @tool(requires_approval=True)
        async def send_mail(to: str) -> str:
            await asyncio.sleep(0)
            self.sent.append(to)
            return "sent"

        def look_up(name: str) -> str:
            return f"{name}@example.org"

        return [send_mail, look_up]

    def agent(self, store: Any, *answers: Any) -> Agent:
        return Agent("office", model=ScriptedModel(*answers), memory=Memory(store), tools=self.tools())


@pytest.fixture
def office() -> Office:
    return Office()


async def invocations(store: CountingStore) -> list[Any]:
    message = list(await store.memory.list_messages("t1"))[-1]
    return [part["toolInvocation"] for part in message.content["parts"] if part["type"] == "tool-invocation"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_stops_before_a_call_that_needs_approval(store: CountingStore, office: Office, streamed: bool) -> None:
    """Nothing is sent; what waits is in the result and in the thread, as TypeScript marks it. Other calls of the step are made."""
    agent = office.agent(store, calling(SEND, call("look_up", id="c2", name="ada"), text="I'd like to send it."), "Never")
    result = await agent.stream("Mail Ada", **HERE).result() if streamed else await agent.generate("Mail Ada", **HERE)
    assert (office.sent, result.finish_reason, result.waiting) == ([], "approval", (SEND,))
    assert [one.result for one in result.tool_calls] == ["ada@example.org"]
    waiting, done = await invocations(store)
    assert (waiting["state"], waiting["approval"], done["state"]) == ("approval-requested", {"id": "c1"}, "result")
    metadata = list(await store.memory.list_messages("t1"))[-1].content["metadata"]
    assert metadata["pendingToolApprovals"] == {
        "c1": {"toolCallId": "c1", "toolName": "send_mail", "args": {"to": "ada@example.org"}, "type": "approval"}
    }
    assert store.batches()[:2] == ["fetch", "apply"]


async def test_an_allowed_call_is_made_and_the_run_goes_on_in_the_same_row(store: CountingStore, office: Office) -> None:
    """The model sees the result and finishes its answer; nothing waits any more."""
    await office.agent(store, calling(SEND, text="I'd like to send it.")).generate("Mail Ada", **HERE)
    before = list(await store.memory.list_messages("t1"))
    store.batches()
    agent = office.agent(store, "Done.")
    result = await agent.resume(approvals={"c1": True}, **HERE)
    assert store.batches() == ["fetch", "decide", "apply"]
    assert (office.sent, result.text, result.finish_reason, result.waiting) == (["ada@example.org"], "Done.", "stop", ())
    assert await stored(store) == [("user", "Mail Ada"), ("assistant", "Done.")]
    answer = list(await store.memory.list_messages("t1"))[-1]
    assert [part["type"] for part in answer.content["parts"]] == ["text", "tool-invocation", "step-start", "text"]
    assert answer.content["metadata"] == {"modelId": "parrot-1", "provider": "scripted"}
    (called,) = await invocations(store)
    assert (called["state"], called["result"], called["approval"]) == ("result", "sent", {"id": "c1", "approved": True})
    assert (answer.id, answer.created_at) == (before[-1].id, before[-1].created_at)
    model: Any = agent.model
    assert model.prompt() == [("user", "Mail Ada"), ("assistant", "I'd like to send it."), ("tool", "sent")]


async def test_a_run_goes_on_in_another_process(tmp_path: Any, office: Office) -> None:
    """What waits is in the database alone: another agent object over another store goes on with it."""
    url = f"file:{tmp_path}/mastra.db"
    first, second = LibSQLStore(url=url), LibSQLStore(url=url)
    await office.agent(first, calling(SEND)).generate("Mail Ada", **HERE)
    await first.close()
    other = Office()
    assert (await other.agent(second, "Done.").resume(approvals={"c1": True}, **HERE)).text == "Done."
    assert (office.sent, other.sent) == ([], ["ada@example.org"])
    await second.close()


@pytest.mark.parametrize("decision, told", [("not on a Sunday", "not allow this call: not on a Sunday"), (False, "not allow this call.")])
async def test_a_refused_call_is_not_made_and_the_model_is_told_why(store: CountingStore, office: Office, decision: Any, told: str) -> None:
    """And goes on without it, now and when the thread is read again."""
    agent = office.agent(store, calling(SEND), "I understand.")
    await agent.generate("Mail Ada", **HERE)
    result = await agent.resume(approvals={"c1": decision}, **HERE)
    model: Any = agent.model
    assert (office.sent, result.text) == ([], "I understand.")
    assert [one.denied for one in result.tool_calls] == [True]
    assert model.results()[0].endswith(told)
    (called,) = await invocations(store)
    reason = {"reason": decision} if decision else {}
    assert (called["state"], called["approval"]) == ("output-denied", {"id": "c1", "approved": False, **reason})
    await agent.generate("Thanks", **HERE)
    assert model.results()[0].endswith(told)


async def test_several_calls_are_decided_together(store: CountingStore, office: Office) -> None:
    """Some made, some refused; a call that the model makes afterwards waits again."""
    calls = [call("send_mail", id=f"c{i}", to=f"{i}@example.org") for i in range(3)]
    agent = office.agent(store, calling(*calls), calling(call("send_mail", id="c9", to="9@example.org")), "Done.")
    await agent.generate("Mail all", **HERE)
    result = await agent.resume(approvals={"c0": True, "c1": "no", "c2": True}, **HERE)
    assert sorted(office.sent) == ["0@example.org", "2@example.org"]
    assert [one.id for one in result.waiting] == ["c9"]
    assert (await agent.resume(approvals={"c9": True}, **HERE)).text == "Done."
    assert len(office.sent) == 3


WRONG: list[Any] = [
    pytest.param({"c2": True}, r"waits for \['c1'\], found decisions on \['c2'\]", id="another"),
    pytest.param({}, r"waits for \['c1'\], found decisions on \[\]", id="none"),
    pytest.param({"c1": True, "c2": True}, r"found decisions on \['c1', 'c2'\]; decide each", id="one too many"),
    pytest.param({"c1": 1}, "approvals must be a dictionary such as", id="number"),
    pytest.param(["c1"], "approvals must be a dictionary such as", id="list"),
]  # fmt: skip


@pytest.mark.parametrize("approvals, text", WRONG)
async def test_decisions_that_do_not_fit_what_waits_are_refused(store: CountingStore, office: Office, approvals: Any, text: str) -> None:
    """Nothing is called and nothing changes; the right decision still can be given."""
    agent = office.agent(store, calling(SEND), "Done.")
    await agent.generate("Mail Ada", **HERE)
    with pytest.raises(ConfigurationError, match=text):
        await agent.resume(approvals=approvals, **HERE)
    assert (office.sent, (await invocations(store))[0]["state"]) == ([], "approval-requested")
    assert (await agent.resume(approvals={"c1": True}, **HERE)).text == "Done."


async def test_a_thread_in_which_nothing_waits_says_so(store: CountingStore, office: Office) -> None:
    """Also a thread that does not exist, and a call that was decided before."""
    agent = office.agent(store, calling(SEND), "Done.")
    with pytest.raises(ConfigurationError, match="waits for no call"):
        await agent.resume(approvals={"c1": True}, **HERE)
    await agent.generate("Mail Ada", **HERE)
    await agent.resume(approvals={"c1": True}, **HERE)
    with pytest.raises(ConfigurationError, match="waits for no call"):
        await agent.resume(approvals={"c1": True}, **HERE)
    assert len(office.sent) == 1


@pytest.mark.parametrize("kind", ["inmemory", "libsql"])
async def test_of_several_resumes_at_once_one_makes_the_call(store: CountingStore, office: Office, kind: str, tmp_path: Any) -> None:
    """Two clicks, or two servers: the mail is sent once, and the others are told that somebody was faster."""
    url = f"file:{tmp_path}/mastra.db"
    stores = [store] * 4 if kind == "inmemory" else [LibSQLStore(url=url) for _ in range(4)]
    await office.agent(stores[0], calling(SEND)).generate("Mail Ada", **HERE)
    agents = [office.agent(one, "Done.") for one in stores]
    results = await asyncio.gather(*(agent.resume(approvals={"c1": True}, **HERE) for agent in agents), return_exceptions=True)
    assert office.sent == ["ada@example.org"]
    lost = [result for result in results if isinstance(result, BaseException)]
    assert len(lost) == 3
    for error in lost:
        assert isinstance(error, ConflictError | ConfigurationError)
        assert "do not wait any more" in str(error) or "waits for no call" in str(error)
    for one in stores:
        await one.close()


async def test_a_claimed_call_is_never_made_twice(store: CountingStore, office: Office) -> None:
    """A process that dies while the tool runs leaves the call decided and without a result: nobody makes it again by mistake."""
    await office.agent(store, calling(SEND)).generate("Mail Ada", **HERE)

    # No Exception: it ends the run, as an interrupt does.
    class Ended(BaseException): ...

    async def run(*_: Any) -> None:
        raise Ended

    deadly = Tool(name="send_mail", description="", parameters={}, run=run, requires_approval=True)
    with pytest.raises(BaseExceptionGroup) as ended:
        await office.agent(store, "Done.").resume(approvals={"c1": True}, **HERE, tools=[deadly])
    assert isinstance(ended.value.exceptions[0], Ended)
    (called,) = await invocations(store)
    assert (called["state"], called["approval"]) == ("approval-responded", {"id": "c1", "approved": True})
    with pytest.raises(ConfigurationError, match="waits for no call"):
        await office.agent(store, "Done.").resume(approvals={"c1": True}, **HERE)
    assert (await office.agent(store, "Hello").generate("Hi", **HERE)).text == "Hello"


NOWHERE: list[Any] = [
    pytest.param({}, "a run without a thread cannot wait for approval", id="no thread"),
    pytest.param({**HERE, "options": {"read_only": True}}, "a run with read_only=True cannot wait for approval", id="read only"),
]


@pytest.mark.parametrize("where, text", NOWHERE)
async def test_a_run_that_leaves_nothing_behind_cannot_wait(store: CountingStore, office: Office, where: Any, text: str) -> None:
    """It is refused before the model is asked, since nobody could ever allow the call; without those tools it runs."""
    agent = office.agent(store, calling(SEND))
    model: Any = agent.model
    with pytest.raises(ConfigurationError, match=rf"{text}, as \['send_mail'\] may have to; pass thread="):
        await agent.generate("Mail Ada", **where)
    assert model.requests == []
    plain = office.agent(store, "Hello")
    assert (await plain.generate("Hi", **where, tools=[])).text == "Hello"
    assert (await plain.generate("Hi", **where, tool_choice="none")).text == "Hello"


async def test_resume_needs_a_thread(store: CountingStore, office: Office) -> None:
    """What waits is in one."""
    with pytest.raises(ConfigurationError, match="pass both thread= and resource="):
        await office.agent(store).resume(approvals={"c1": True})


async def test_a_call_with_malformed_arguments_is_not_put_before_a_person(store: CountingStore, office: Office) -> None:
    """The model mends it first."""
    broken_call = calling(type(SEND)(id="c1", name="send_mail", malformed="{"))
    agent = office.agent(store, broken_call, "Sorry.")
    assert (await agent.generate("Mail Ada", **HERE)).waiting == ()
    assert office.sent == []


async def test_history_is_not_needed_to_go_on(store: CountingStore, office: Office) -> None:
    """With last_messages=0 what waits is still found."""
    await office.agent(store, calling(SEND)).generate("Mail Ada", **HERE)
    assert (await office.agent(store, "Done.").resume(approvals={"c1": True}, **HERE, options={"last_messages": 0})).text == "Done."


async def test_a_run_goes_on_as_a_stream(store: CountingStore, office: Office) -> None:
    """The pieces come as they are said; the tool's result is among the events, and the row is the same as without a stream."""
    chat = office.agent(store, calling(SEND), "All is done.").chat(thread="t1", resource="u1")
    await chat.generate("Mail Ada")
    async with chat.resume_stream(approvals={"c1": True}) as stream:
        events = [event async for event in stream.full_stream]
    result = await stream.result()
    assert [type(event).__name__ for event in events] == [
        "ToolCalled",
        "ToolReturned",
        "TextDelta",
        "TextDelta",
        "TextDelta",
        "StepFinished",
    ]
    assert (office.sent, result.text) == (["ada@example.org"], "All is done.")
    assert await stored(store) == [("user", "Mail Ada"), ("assistant", "All is done.")]


async def test_a_stream_that_goes_on_tells_at_its_start_that_somebody_else_decided(store: CountingStore, office: Office) -> None:
    """No piece is waited for."""
    await office.agent(store, calling(SEND)).generate("Mail Ada", **HERE)
    agents = [office.agent(store, "Done."), office.agent(store, "Done.")]
    first, second = [await asyncio.gather(agent.resume_stream(approvals={"c1": True}, **HERE), return_exceptions=True) for agent in agents]
    assert [type(error) for error in second] == [ConfigurationError]
    assert not isinstance(first[0], BaseException)
    await first[0].result()
    assert office.sent == ["ada@example.org"]


async def test_a_stream_that_goes_on_and_is_left_in_the_tool_keeps_the_decision(store: CountingStore, office: Office) -> None:
    """The call is not made again, and does not wait again."""
    begun, never = asyncio.Event(), asyncio.Event()

    @tool(requires_approval=True)
    async def send_mail(to: str) -> str:
        begun.set()
        await never.wait()
        return to

    agent = office.agent(store, calling(SEND), "Next.")
    await agent.generate("Mail Ada", **HERE)
    async with agent.resume_stream(approvals={"c1": True}, **HERE, tools=[send_mail]) as stream:
        await begun.wait()
    assert (await stream.result()).finish_reason == "interrupted"
    (left,) = await invocations(store)
    assert left["approval"] == {"id": "c1", "approved": True}
    with pytest.raises(ConfigurationError, match="waits for no call"):
        await agent.resume(approvals={"c1": True}, **HERE)
    assert (await agent.generate("And now?", **HERE)).text == "Next."


async def test_what_goes_on_without_history_is_opened_by_a_user(store: CountingStore, office: Office) -> None:
    """Gemini refuses a conversation that an assistant begins; TypeScript puts the same "." there (contract §5.4)."""
    await office.agent(store, calling(SEND, text="I'd like to.")).generate("Mail Ada", **HERE)
    agent = office.agent(store, "Done.")
    await agent.resume(approvals={"c1": True}, **HERE, options={"last_messages": 0})
    model: Any = agent.model
    assert model.prompt() == [("user", "."), ("assistant", "I'd like to."), ("tool", "sent")]
