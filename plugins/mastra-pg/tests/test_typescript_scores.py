"""Scores as the TypeScript package keeps them in PostgreSQL: JSON encoded twice, and columns that must not be null (contract §3.3)."""

from __future__ import annotations

import psycopg

from mastra_pg.store import PostgresStore

JSON_COLUMNS = ("scorer", "input", "output", "entity", "metadata", "analyzeStepResult")
WRITTEN = {
    "scorer": r'"{\"id\":\"s1\",\"name\":\"S\"}"', "input": r'"[{\"role\":\"user\"}]"', "output": r'"\"plain\""',
    "entity": r'"{\"id\":\"e\"}"', "metadata": r'"{\"m\":1}"', "analyzeStepResult": r'"{\"a\":[]}"',
}  # fmt: skip
"""JSON columns of a score as TypeScript writes them."""


async def test_a_score_of_typescript_is_read(postgres_url: str) -> None:
    """JSON in a string of JSON is read as what it says, also where it says a text."""
    async with PostgresStore(connection_string=postgres_url) as store:
        names = ", ".join(f'"{name}"' for name in JSON_COLUMNS)
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await connection.execute(
                f'INSERT INTO mastra_scorers (id, "scorerId", "runId", score, source, "createdAt", "updatedAt", {names}) '
                f"VALUES ('x', 's1', 'r', 0.5, 'LIVE', now(), now(), {', '.join(['%s'] * len(JSON_COLUMNS))})",
                [WRITTEN[name] for name in JSON_COLUMNS],
            )
        found = await store.scores.get_score_by_id("x")
    assert found is not None
    assert (found.scorer, found.input, found.output) == ({"id": "s1", "name": "S"}, [{"role": "user"}], "plain")
    assert (found.entity, found.metadata, found.analyze_step_result) == ({"id": "e"}, {"m": 1}, {"a": []})


async def test_typescript_reads_the_texts_and_nulls_of_a_score(postgres_url: str) -> None:
    """A text lies in the column as JSON text, which TypeScript parses; where there is no input, the column holds the JSON null."""
    async with PostgresStore(connection_string=postgres_url) as store:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            for name in ("input", "output"):
                await connection.execute(f'ALTER TABLE mastra_scorers ALTER COLUMN "{name}" SET NOT NULL')
        saved = await store.scores.save_score(
            {
                "scorer_id": "s", "run_id": "r", "entity_id": "e", "entity": {}, "scorer": {}, "score": 1, "source": "TEST",
                "output": "[1]",
            }
        )  # fmt: skip
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            row = await (await connection.execute("SELECT input::text, output::text FROM mastra_scorers")).fetchone()
        assert (saved.input, saved.output) == (None, "[1]")
        assert await store.scores.get_score_by_id(saved.id) == saved
    assert row == ("null", r'"\"[1]\""')
