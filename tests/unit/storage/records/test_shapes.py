"""JSON of another shape than its field has is refused before it is stored: it could not be read again."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import attrs
import pytest

from mastra_core.errors import InvalidInputError
from mastra_core.storage import InMemoryStore
from mastra_core.storage.records.span_kinds import Span
from mastra_core.testing.samples import T0, a_thread

SPAN = Span(trace_id="t", span_id="s", name="n", span_type="generic", started_at=T0)


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"metadata": [1]}, r"mastra_ai_spans\.metadata: must be a mapping, which is stored as a JSON object, found \[1\] \(list\)"),
        ({"error": "no"}, r"mastra_ai_spans\.error: must be a mapping, .* found 'no' \(str\)"),
        ({"tags": {"a": 1}}, r"mastra_ai_spans\.tags: must be a list, which is stored as a JSON list, found \{'a': 1\} \(dict\)"),
        ({"links": "x"}, r"mastra_ai_spans\.links: must be a list"),
    ],
)
async def test_json_of_another_shape_is_refused_and_nothing_is_written(changed: dict[str, Any], text: str) -> None:
    """A save or an update that would leave a record nobody can read says so, with the field and what was found."""
    async with InMemoryStore() as store:
        with pytest.raises(InvalidInputError, match=text):
            await store.observability.create_span(attrs.evolve(SPAN, **changed))
        await store.observability.create_span(SPAN)
        with pytest.raises(InvalidInputError, match=text):
            await store.observability.update_span("t", span_id="s", updates=changed)  # type: ignore[arg-type]  # wrong on purpose
        assert await store.observability.get_span("t", span_id="s") == SPAN


async def test_a_thread_takes_any_mapping_as_metadata() -> None:
    """What only behaves like a dict is stored as an object too; text is refused."""
    mapping: Any = MappingProxyType({"a": 1})
    async with InMemoryStore() as store:
        assert (await store.memory.save_thread(a_thread(metadata=mapping))).metadata == {"a": 1}
        wrong: Any = '{"a": 1}'
        with pytest.raises(InvalidInputError, match=r"mastra_threads\.metadata: must be a mapping"):
            await store.memory.save_thread(a_thread("other", metadata=wrong))
