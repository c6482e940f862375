"""What happens in a run while it is produced, one class for each kind of event.

Knows nothing but what an event carries.
"""

from __future__ import annotations

import attrs

from mastra_core.agent.model import ToolCall, Usage
from mastra_core.agent.tools import ToolResult


@attrs.frozen
class TextDelta:
    """A piece of the answer's text."""

    text: str


@attrs.frozen
class ReasoningDelta:
    """A piece of what the model thinks before it answers."""

    text: str


@attrs.frozen
class ToolCalled:
    """The model wants a tool called; it is running now."""

    call: ToolCall


@attrs.frozen
class ToolReturned:
    """A call has come to its end, well or not."""

    result: ToolResult


@attrs.frozen
class ApprovalNeeded:
    """A call waits for a person; the run ends here and goes on with `agent.resume(approvals=…)`."""

    call: ToolCall


@attrs.frozen
class StepFinished:
    """The model has been asked once and has answered.

    Attributes:
        step: from 0.
        finish_reason: why the answer ended.
        usage: of this step.
    """

    step: int
    finish_reason: str
    usage: Usage


@attrs.frozen
class AnswerRefused:
    """What was said in this step is not of the type asked for with `output=`; the model is told *why* and asked again."""

    why: str


Event = TextDelta | ReasoningDelta | ToolCalled | ToolReturned | ApprovalNeeded | StepFinished | AnswerRefused
"""Everything that `full_stream` gives."""
