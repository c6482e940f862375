"""Steps of a run as those who run them see them, traced or not. Must not know OpenTelemetry: what is off imports nothing.

`with tracing.step(…) as step:` costs two calls when nothing is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import attrs

from mastra_core.storage.records.kind import Json

Told = Json | Callable[[], Any]
"""A value, or a function that gives it, which is called when it is written and not in the run."""


@attrs.frozen
class Entity:
    """Who does a step.

    Attributes:
        type: "agent", "tool", … (contract §7.4).
        id: its name.
        name: for people.
    """

    type: str
    id: str
    name: str


@attrs.frozen
class Said:
    """A list of objects of nothing but texts, to be told to a step: its texts are looked at together, which takes a third of the time.

    Attributes:
        objects: made for the step, which keeps them; their names are no secrets.
        texts: all the names and texts in them, in any order.
    """

    objects: list[Json]
    texts: Sequence[str]


class Step:
    """A step that nobody traces: takes what it is told, and keeps nothing.

    Attributes:
        traced: whether anything is kept, so that costly facts need not be gathered.
    """

    traced = False

    @property
    def trace_id(self) -> str | None:
        """The trace that the step is in; None if it is not traced."""
        return None

    def gave(self, output: Told = None, **attributes: Any) -> None:
        """What the step gave, and more facts about it, by their names in TypeScript's attributes."""

    def failed(self, error: BaseException | str) -> None:
        """The step failed, though nothing is raised through it."""

    def __enter__(self) -> Self:
        """The step, begun; steps begun until it ends are within it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The step ends; what is raised through it is its error."""


UNTRACED = Step()


class Tracing(Protocol):
    """Makes the steps of runs."""

    def step(
        self,
        span_type: str,
        name: str,
        *,
        entity: Entity | None = None,
        input: Told = None,
        attributes: dict[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        conventional: Mapping[str, str | int] | None = None,
    ) -> Step:
        """A step to be entered.

        Args:
            span_type: "agent_run", "tool_call", … (contract §7.4).
            name: for people.
            entity: who does it; None is who does the step around it.
            input: what it is given.
            attributes: facts, by their names in TypeScript; the step's from now on.
            metadata: ids of run, thread and resource, and more; steps within have them too.
            conventional: facts by their names in OpenTelemetry's GenAI conventions, without anything that was said, for other exporters.
        """
        ...


class Untraced:
    """Makes steps that nobody traces."""

    def step(self, span_type: str, name: str, **_: Any) -> Step:
        """A step that keeps nothing."""
        return UNTRACED


OFF: Tracing = Untraced()
