"""The answer of a run while it grows: steps of text, thoughts and tool calls, as content to store and as messages to go on from.

Knows the stored parts of an assistant message (contract §4.3). Must not know stores, models or how a tool is called.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mastra_core import clock
from mastra_core.agent.messages import parts_of
from mastra_core.agent.model import ModelMessage, ToolCall, Usage
from mastra_core.agent.prompting import shown
from mastra_core.agent.tools import ToolResult
from mastra_core.storage.records.kind import Json
from mastra_core.storage.records.kinds import Message

Part = dict[str, Any]

_OWN = ("interrupted", "pendingToolApprovals")
"""Keys of stored `metadata` that say how the answer stands, so they do not outlive a resumed run."""


class Answer:
    """What the model has said and called in one run.

    Args:
        model: who is asked, "provider/model".

    Attributes:
        model: who answers; the parts of later steps name it.
        text: all that was said, over all steps.
        last_text: what was said in the last step.
        results: every call that has come to its end, in the order in which they ended.
        waiting: calls that a person must allow first.
        usage: of all steps together.
        finish_reason: of the last step.
        began: when the first piece came; None before.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.text = ""
        self.results: list[ToolResult] = []
        self.waiting: list[ToolCall] = []
        self.usage = Usage()
        self.finish_reason = "unknown"
        self.began: datetime | None = None
        self.last_text = ""
        self._parts: list[Part] = []
        self._hidden: set[str] = set()
        self._metadata: dict[str, Json] = {}

    def take_up(self, message: Message) -> None:
        """Go on from a stored *message* whose calls wait for a person."""
        content: Any = message.content
        # Copied, since what was read is not to change.
        self._parts = [copy.deepcopy(dict(part)) for part in parts_of(message)]
        self._metadata = {name: value for name, value in (content.get("metadata") or {}).items() if name not in _OWN}
        self.waiting = list(pending_calls(message))

    def begin_step(self) -> None:
        """The model is asked again."""
        self.last_text = ""
        if self._parts:
            self._parts.append({"type": "step-start", "createdAt": self._now(), "model": self.model})

    def answered_by(self, model: str) -> None:
        """Note that *model* answers this step, not the one that was asked."""
        self.model = model
        if self._parts and self._parts[-1]["type"] == "step-start":
            self._parts[-1]["model"] = model

    def take_back(self) -> str:
        """Forget what was said in this step, and give it."""
        said, self.last_text = self.last_text, ""
        self.text = self.text.removesuffix(said)
        first = max((index for index, part in enumerate(self._parts) if part["type"] == "step-start"), default=0)
        self._parts = [part for index, part in enumerate(self._parts) if index < first or part["type"] not in {"text", "reasoning"}]
        return said

    def say(self, text: str) -> None:
        """Add a piece of text."""
        if not text:
            return
        at = self._now()
        self.text += text
        self.last_text += text
        last = self._parts[-1] if self._parts else None
        if last is not None and last["type"] == "text":
            last["text"] += text
        else:
            self._parts.append({"type": "text", "text": text, "createdAt": at})

    def think(self, text: str) -> None:
        """Add a piece of what the model thinks."""
        if not text:
            return
        at = self._now()
        last = self._parts[-1] if self._parts else None
        if last is None or last["type"] != "reasoning":
            last = {"type": "reasoning", "reasoning": "", "details": [{"type": "text", "text": ""}], "createdAt": at}
            self._parts.append(last)
        last["reasoning"] += text
        last["details"][0]["text"] += text

    def call(self, call: ToolCall, *, stored: bool = True) -> None:
        """Add a call that has no result yet; one that is not *stored* is seen by the model alone."""
        self._now()
        invocation = {"state": "call", "toolCallId": call.id, "toolName": call.name, "args": dict(call.arguments)}
        if call.malformed:
            invocation["rawInput"] = call.malformed
        self._parts.append({"type": "tool-invocation", "toolInvocation": invocation})
        if not stored:
            self._hidden.add(call.id)

    def has_call(self, call_id: str) -> bool:
        """Whether there is a call of this id."""
        return any(part.get("toolInvocation", {}).get("toolCallId") == call_id for part in self._parts)

    def ask_approval(self, call: ToolCall) -> None:
        """Note that *call* waits for a person."""
        self.waiting.append(call)
        self._invocation(call.id).update(state="approval-requested", approval={"id": call.id})

    def decide(self, decisions: Mapping[str, bool | str]) -> None:
        """Note what a person decided about the calls that wait; they wait no longer."""
        for call in self.waiting:
            decision = decisions[call.id]
            invocation = self._invocation(call.id)
            approval = {"id": call.id, **(invocation.get("approval") or {}), "approved": decision is True}
            reason = {"reason": decision} if isinstance(decision, str) and decision else {}
            invocation.update(state="approval-responded", approval=approval | reason)
        self.waiting = []

    def settle(self, result: ToolResult) -> None:
        """Give a call its result."""
        self.results.append(result)
        _settle(self._invocation(result.call.id), result)

    def content(self, *, interrupted: bool = False) -> dict[str, Json] | None:
        """What is stored; None when there is nothing to keep."""
        parts = [part for part in self._parts if part.get("toolInvocation", {}).get("toolCallId") not in self._hidden]
        # A step that gave nothing leaves no trace, nor does what marks the first.
        kept = [
            part
            for part, following in itertools.pairwise([*parts, None])
            if part is not None and (part["type"] != "step-start" or (following is not None and following["type"] != "step-start"))
        ]
        kept = kept[1:] if kept and kept[0]["type"] == "step-start" else kept
        if not any(part["type"] in {"text", "tool-invocation"} for part in kept):
            return None
        provider, _, model_id = self.model.partition("/")
        metadata: dict[str, Json] = {**self._metadata, "modelId": model_id, "provider": provider}
        if interrupted:
            metadata["interrupted"] = True
        if self.waiting:
            metadata["pendingToolApprovals"] = {call.id: _pending(call) for call in self.waiting}
        return {"format": 2, "parts": [dict(part) for part in kept], "content": _last_said(kept), "metadata": metadata}

    def messages(self) -> tuple[ModelMessage, ...]:
        """What has been said and called, for the next step of the same run."""
        return shown(Message(id="", thread_id="", role="assistant", content={"format": 2, "parts": self._parts}))

    def _invocation(self, call_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            part["toolInvocation"] for part in self._parts if part.get("toolInvocation", {}).get("toolCallId") == call_id
        )
        return found

    def _now(self) -> int:
        now = clock.now()
        self.began = self.began or now
        return clock.to_milliseconds(now)


def _settle(invocation: dict[str, Any], result: ToolResult) -> None:
    """Write what came of a call into its stored *invocation*."""
    if result.denied:
        invocation.update(state="output-denied")
    elif result.error:
        invocation.update(state="output-error", errorText=result.error)
    else:
        invocation.update(state="result", result=result.result)


def pending_calls(message: Message) -> tuple[ToolCall, ...]:
    """The calls of a stored message that wait for a person."""
    invocations = [part.get("toolInvocation") for part in parts_of(message)]
    return tuple(
        ToolCall(id=one["toolCallId"], name=one["toolName"], arguments=one.get("args") or {})
        for one in invocations
        if isinstance(one, Mapping) and one.get("state") == "approval-requested"
    )


def _last_said(parts: Sequence[Part]) -> str:
    """The text of the last step, a line for each part (contract §4.2)."""
    first = max((index for index, part in enumerate(parts) if part["type"] == "step-start"), default=0)
    return "\n".join(part["text"] for part in parts[first:] if part["type"] == "text")


def _pending(call: ToolCall) -> dict[str, Json]:
    return {"toolCallId": call.id, "toolName": call.name, "args": dict(call.arguments), "type": "approval"}
