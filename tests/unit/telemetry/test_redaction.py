"""What of a run is never stored when a user's functions take it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mastra_core import Agent, Mastra, Memory, MemoryOptions, ModelError, Observability, WorkingMemory
from mastra_core.storage import CompositeStore
from tests.unit.agent.models import ScriptedModel, call, calling
from tests.unit.telemetry.observing import HERE, file_store, spans_of, weather

pytestmark = pytest.mark.usefixtures("both_ways")


async def test_with_redaction_no_text_and_no_secret_is_in_the_files_bytes(tmp_path: Path) -> None:
    """Must hold: "With redaction configured, no message text and no secret appears anywhere in the raw database" …

    … "(searched for in the file's bytes)".

    Prompts, instructions, working memory, arguments and results of tools, answers, titles, texts of errors, an API key among them.
    """

    def hidden(_: Any) -> str:
        return "[hidden]"

    folder = tmp_path / "spans"
    folder.mkdir()
    storage = CompositeStore(default=file_store(tmp_path), domains={"observability": file_store(folder)})
    said = [
        "SAID-BY-USER", "Atlantis", "SAID-BY-TOOL", "SAID-BY-MODEL", "SAID-AS-TITLE", "Be brief", "no such city", "sk-hush", "REMEMBERED",
    ]  # fmt: skip

    def look(city: str, api_key: str) -> dict[str, str]:
        """Look a city up."""
        return {"seen": f"SAID-BY-TOOL in {city}", "authorization": api_key}

    answers = (
        calling(
            call("weather", id="c1", city="Atlantis"),
            call("look", id="c2", city="Atlantis", api_key="sk-hush"),
            call("updateWorkingMemory", id="c3", memory="# REMEMBERED"),
            text="SAID-BY-MODEL 1",
        ),
        "SAID-BY-MODEL 2",
        "SAID-AS-TITLE",
        ModelError("401 for the key sk-hush: SAID-BY-MODEL 3"),
    )
    hide = Observability(redact_input=hidden, redact_output=hidden, storage_operations=True)
    memory = Memory(options=MemoryOptions(generate_title=True, working_memory=WorkingMemory()))
    agent = Agent("a", instructions="Be brief.", model=ScriptedModel(*answers), memory=memory, tools=[weather, look])
    async with Mastra(storage=storage, agents={"a": agent}, observability=hide) as mastra:
        result = await agent.generate("SAID-BY-USER sk-hush", **HERE)
        await agent.drain()
        with pytest.raises(ModelError):
            await agent.generate("SAID-BY-USER", **HERE)
        assert mastra.observer is not None
        assert await mastra.observer.flush()
        # The log, too, while it is there.
        written = b"".join(path.read_bytes() for path in folder.iterdir())
        names = {span.name for span in await spans_of(storage, result.trace_id)}
        thread = await storage.memory.get_thread_by_id("t1")
        remembered = await memory.get_working_memory(resource_id="u1")
    written += b"".join(path.read_bytes() for path in folder.iterdir())
    # All of it was said, and is where it belongs.
    errors = {called.call.id: called.error for called in result.tool_calls}
    assert errors == {"c1": "ValueError: no such city: Atlantis", "c2": "", "c3": ""}
    assert (thread.title if thread else None, remembered) == ("SAID-AS-TITLE", "# REMEMBERED")
    assert {"tool: 'look'", "tool: 'updateWorkingMemory'", "storage: memory.read_turn", "storage: memory.save_turn"} < names
    assert b"[hidden]" in written
    assert b"agent run: 'a'" in written
    assert [text for text in said if text.encode() in written] == []
