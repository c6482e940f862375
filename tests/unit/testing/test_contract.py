"""A contract as pytest runs it: what a third party writes, what it may say of itself, and what it cannot switch off."""

from __future__ import annotations

import pytest

from mastra_core.testing import EngineContract, MemoryContract

pytest_plugins = ["pytester"]

ENGINE = """
from contextlib import asynccontextmanager

import pytest

from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.wire import load_json
from mastra_core.testing import EngineContract


class TestAcmeEngine(EngineContract):
    @pytest.fixture(autouse=True)
    def _server(self, tmp_path):
        self.folder = tmp_path

    @asynccontextmanager
    async def open_engine(self):
        assert self.folder.is_dir()
        yield InMemoryEngine()

    async def peek(self, engine, kind, key):
        text = engine.tables.get(kind.name, {}).get(key)
        return None if text is None else load_json(text, kind=kind.name, key=key, field="")
"""


def outcomes(pytester, body, *, mode="auto", select=""):
    """Run the contract with *body* added to its class; how many tests passed, failed, and so on, and what was printed."""
    pytester.makepyfile(ENGINE + body)
    pytester.makeini(f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-rA", "-k", select)
    return result.parseoutcomes(), "\n".join(result.outlines)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_third_party_writes_two_methods_and_is_certified(pytester, mode) -> None:
    """open_engine and peek are enough, with fixtures of one's own, in either mode of pytest-asyncio; without poke three tests are skipped, and one without a snapshot."""
    counts, _ = outcomes(pytester, "", mode=mode)
    assert counts.pop("passed") > 100
    assert counts == {"skipped": 4}


@pytest.mark.parametrize(
    "body",
    ["    async def test_a_ping_answers(self):\n        pass\n", "    test_a_ping_answers = None\n"],
    ids=["redefined", "removed"],
)
def test_a_kit_test_cannot_be_overridden(pytester, body) -> None:
    """A promise that was redefined or removed turns a guard red, which says what to do instead."""
    counts, told = outcomes(pytester, body, select="overridden or ping")
    assert counts["failed"] == 1
    assert "TestAcmeEngine redefines test_a_ping_answers" in told
    assert "expected_failures = {'test_a_ping_answers': 'why'}" in told


def test_tests_of_ones_own_may_be_added(pytester) -> None:
    """A backend's own promises stand beside the kit's."""
    counts, _ = outcomes(
        pytester, "    async def test_acme_is_fast(self, records):\n        await records.ping()\n", select="acme_is or overridden"
    )
    assert counts == {"passed": 2, "deselected": counts["deselected"]}


BROKEN = """
    async def _refuse(self):
        raise ValueError("no ping")

    @pytest.fixture(autouse=True)
    def _break(self, monkeypatch):
        monkeypatch.setattr(InMemoryEngine, "ping", type(self)._refuse)

    expected_failures = {"test_a_ping_answers": "Acme has no ping"}
"""


def test_a_known_failure_is_declared_with_its_reason(pytester) -> None:
    """What a backend cannot keep is shown as an expected failure, with the reason."""
    counts, told = outcomes(pytester, BROKEN, select="ping or name_kit_tests")
    assert counts == {"xfailed": 1, "passed": 1, "deselected": counts["deselected"]}
    assert "Acme has no ping" in told


def test_a_known_failure_of_a_parametrized_test_counts_for_every_case(pytester) -> None:
    """One name covers all seeds of the walk."""
    counts, _ = outcomes(pytester, "    expected_failures = {'test_a_random_walk_agrees_with_the_model': 'why'}\n", select="random_walk")
    assert counts == {"failed": 4, "deselected": counts["deselected"]}


def test_a_known_failure_that_passes_is_red(pytester) -> None:
    """A mended failure must leave the list."""
    counts, told = outcomes(pytester, "    expected_failures = {'test_a_ping_answers': 'Acme has no ping'}\n", select="ping")
    assert counts["failed"] == 1
    assert "XPASS(strict)" in told


@pytest.mark.parametrize(
    "declared, told",
    [
        ("{'test_a_pong_answers': 'why'}", "test_a_pong_answers"),
        ("{'test_a_ping_answers': ' '}", "gives no reason for ['test_a_ping_answers']"),
    ],
)
def test_a_known_failure_names_a_kit_test_and_says_why(pytester, declared, told) -> None:
    """A typing error in a name hides nothing, and no failure is excused in silence."""
    counts, printed = outcomes(pytester, f"    expected_failures = {declared}\n", select="name_kit_tests")
    assert counts["failed"] == 1
    assert told in printed


def test_a_failing_assert_of_the_kit_shows_its_values(pytester) -> None:
    """Whoever writes an engine sees what was found, not only that it was wrong."""
    body = "    @pytest.fixture(autouse=True)\n    def _lose(self, monkeypatch):\n        monkeypatch.setattr(InMemoryEngine, '_listed', lambda self, query: [])\n"
    counts, told = outcomes(pytester, body, select="newest_first")
    assert counts["failed"] == 1
    assert "it has 0 items, expected 10" in told


@pytest.mark.parametrize("contract", [EngineContract, MemoryContract])
def test_no_two_promises_of_a_contract_share_a_name(contract) -> None:
    """Contracts are put together from parts, and no part hides a test of another."""
    names = [name for part in contract.__mro__ for name in vars(part) if name.startswith("test_")]
    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not (getattr(contract, name).__doc__ or "").strip()] == []


@pytest.mark.parametrize("method", ["open_engine", "peek"])
def test_a_contract_that_is_not_complete_says_what_is_missing(pytester, method) -> None:
    """Forgetting a method is told by name."""
    counts, told = outcomes(pytester, f"    {method} = EngineContract.{method}\n", select="saved_thread")
    assert set(counts) & {"errors", "error", "failed"}
    assert f"TestAcmeEngine must define {method}(self" in told
