"""What every contract has in common: capabilities checked both ways, polling where a list may lag, no test switched off silently.

Knows pytest and the names of capabilities; must not know any kind, engine or domain.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar, TypeVar

import pytest

from mastra_core.errors import UnsupportedError
from mastra_core.storage.records.engine import CAPABILITIES, Support, support_of
from mastra_core.testing.equality import difference

T = TypeVar("T")
Test = Callable[..., Coroutine[Any, Any, None]]

SETTLE_SECONDS = 10.0
"""How long a list that is not FULL in `own_lists` may lag behind a write before the kit calls it lost."""
POLL_SECONDS = 0.02


class Contract:
    """A set of promises, each a test. Subclass it in a test module; do not change or remove its tests.

    Attributes:
        expected_failures: kit tests that this backend is known to fail, each with the reason. Strict: one that passes is red.
        capabilities: what the backend under test declares; set by the fixture that opens it.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}
    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.asyncio]
    capabilities: Mapping[str, Support]

    @pytest.fixture(autouse=True)
    def _expected_failure(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", None) or request.node.name
        reason = self.expected_failures.get(name)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    async def test_no_kit_test_is_overridden(self) -> None:
        """A green kit means what it says: no promise was redefined or removed on the way."""
        changed = [name for name, test in _kit_tests(type(self)).items() if getattr(type(self), name, None) is not test]
        assert not changed, (
            f"{type(self).__name__} redefines {', '.join(changed)}. Remove the definition; if the backend cannot keep the promise, "
            f"say so: expected_failures = {{{changed[0]!r}: 'why'}}"
        )

    async def test_expected_failures_name_kit_tests_and_say_why(self) -> None:
        """Every known failure of a backend can be looked up, with its reason."""
        tests = _kit_tests(type(self))
        unknown = [name for name in self.expected_failures if name not in tests]
        assert not unknown, f"expected_failures names {unknown}, which are no tests of this kit; remove or correct them"
        silent = [name for name, reason in self.expected_failures.items() if not reason.strip()]
        assert not silent, f"expected_failures gives no reason for {silent}; say what the backend cannot do"

    async def shows(self, look: Callable[[], Awaitable[object]], expected: object, *, at_once: bool = False) -> None:
        """Assert that *look* answers *expected*: now where own lists are FULL or *at_once*, else within SETTLE_SECONDS.

        *at_once* is for what every backend shows as soon as the write returned: a record by its key and a thread's messages. A backend
        whose `own_lists` does not work at all is polled there too.
        """
        own_lists = self.capabilities["own_lists"]
        patient = own_lists.level != "FULL" and not (at_once and own_lists.works)
        found = await look()
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while patient and difference(found, expected) is not None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            found = await look()
        differs = difference(found, expected)
        assert differs is None, differs


def needs(*names: str) -> Callable[[Test], Test]:
    """Mark a kit test as the proof of capabilities, checked both ways; "mastra_messages.by_resource" names a path.

    Where all of *names* work the test must pass. Where one does not, the same test must end in UnsupportedError: passing is red as well,
    for then the backend can do more than it declares. `own_lists` has no refusal to raise, so it is no name here: see `Contract.shows`.
    """
    for name in names:
        if "." not in name and (name not in CAPABILITIES or name == "own_lists"):
            msg = f"no kit test can need {name!r}; the capabilities are {[known for known in CAPABILITIES if known != 'own_lists']}"
            raise ValueError(msg)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        async def checked(self: Contract, *args: Any, **kwargs: Any) -> None:
            declared = {name: support_of(self.capabilities, name) for name in names}
            lacking = {name: support for name, support in declared.items() if not support.works}
            if not lacking:
                await test(self, *args, **kwargs)
                return
            try:
                await test(self, *args, **kwargs)
            except UnsupportedError as refusal:
                assert str(refusal).strip(), "UnsupportedError must say why, and what to do instead"
                return
            said = ", ".join(f"{name} is {support.level} ({support.reason})" for name, support in lacking.items())
            pytest.fail(f"declared: {said}, but it works; declare FULL or EMULATED, or raise UnsupportedError with the mend")

        vars(checked)["needs"] = names
        return checked

    return decorate


def _kit_tests(contract: type) -> Mapping[str, object]:
    """The tests that the kit itself defines for *contract*, by name."""
    found: dict[str, object] = {}
    for origin in contract.__mro__:
        if origin.__module__.startswith("mastra_core.testing"):
            found |= {name: test for name, test in vars(origin).items() if name.startswith("test_") and name not in found}
    return found
