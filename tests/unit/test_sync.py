"""Blocking calls of async methods."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest

from mastra_core import clock
from mastra_core.errors import ConfigurationError
from mastra_core.storage import InMemoryStore, LibSQLStore, Message, Thread
from mastra_core.sync import blocking, blocking_iterator, facade, run_blocking

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


class Counter:
    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.started = threading.Event()
        self.cancelled = threading.Event()

    async def add(self, a: int, *, b: int = 1) -> int:
        """The sum."""
        self.threads.add(threading.get_ident())
        return a + b

    async def fail(self) -> None:
        raise LookupError("no such number")

    async def who(self) -> str:
        return WHO.get()

    async def forever(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def upto(self, n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                yield i
        finally:
            self.closed.set()


class Doubling(Counter):
    async def add(self, a: int, *, b: int = 1) -> int:
        return 2 * (a + b)


@facade(Counter)
class CounterSync:
    def __init__(self, counter: Counter) -> None:
        self._async = counter

    add = blocking(Counter.add)
    fail = blocking(Counter.fail)
    who = blocking(Counter.who)
    forever = blocking(Counter.forever)
    upto = blocking_iterator(Counter.upto)
    upto_in_tens = blocking_iterator(Counter.upto, ahead=10)


def test_a_blocking_method_gives_the_value_with_the_same_arguments() -> None:
    """Code without an event loop gets what `await` would give, and help() shows the same text."""
    assert CounterSync(Counter()).add(2, b=3) == 5
    assert CounterSync.add.__doc__ == "The sum."


def test_an_error_arrives_as_it_was_raised() -> None:
    """`except` clauses are the same in blocking code."""
    with pytest.raises(LookupError, match="no such number"):
        CounterSync(Counter()).fail()


def test_a_method_that_a_subclass_overrides_is_the_one_called() -> None:
    """A backend's own version of a method counts for `.sync` too."""
    assert CounterSync(Doubling()).add(2, b=3) == 10


def test_every_caller_shares_one_loop_in_one_thread() -> None:
    """Connections made by one blocking call can be used by the next, from whatever thread."""
    counter = Counter()
    callers = [threading.Thread(target=CounterSync(counter).add, args=(i,)) for i in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(counter.threads) == 1
    assert threading.get_ident() not in counter.threads


def test_context_variables_of_the_caller_are_seen() -> None:
    """Tracing and request ids pass through."""
    token = WHO.set("ada")
    try:
        assert CounterSync(Counter()).who() == "ada"
    finally:
        WHO.reset(token)


async def test_inside_a_running_loop_it_is_refused_with_the_mend() -> None:
    """A program does not hang because `.sync` was used where `await` belongs."""
    with pytest.raises(ConfigurationError, match=r"Counter\.add was called through \.sync inside a running event loop.*await ….add"):
        CounterSync(Counter()).add(1)
    with pytest.raises(ConfigurationError, match=r"Counter\.upto .*leave out \.sync"):
        CounterSync(Counter()).upto(1)
    with pytest.raises(ConfigurationError):
        run_blocking(Counter().add(1))


def test_a_blocking_iterator_gives_every_item_once_and_in_order() -> None:
    """A `for` loop over a long thread sees what `async for` would."""
    sync = CounterSync(Counter())
    assert list(sync.upto(25)) == list(range(25))
    assert list(sync.upto_in_tens(25)) == list(range(25))
    assert list(sync.upto_in_tens(20)) == list(range(20))
    assert list(sync.upto(0)) == []


def test_leaving_a_blocking_iterator_early_closes_the_async_one() -> None:
    """`break` releases what the loop held, whoever else still knows of it."""

    class Keeping(Counter):
        def upto(self, n):
            self.kept = super().upto(n)
            return self.kept

    counter = Keeping()
    for item in CounterSync(counter).upto(1000):
        if item == 3:
            break
    assert counter.closed.wait(60)


def test_an_interrupt_cancels_the_call() -> None:
    """Ctrl-C ends the work, not only the waiting for it."""
    program = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.unit.test_sync import Counter, CounterSync
counter, main = Counter(), threading.get_ident()
def interrupt():
    counter.started.wait(60)
    while sys._current_frames()[main].f_code.co_filename != threading.__file__:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    CounterSync(counter).forever()
except KeyboardInterrupt:
    print("interrupted", counter.cancelled.wait(30))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, env=_here())
    assert (ran.stdout.split(), ran.stderr) == (["interrupted", "True"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    """A pre-forking server can use `.sync` before and after the fork."""
    program = """
import os
from tests.unit.test_sync import Counter, CounterSync
sync = CounterSync(Counter())
assert sync.add(1) == 2
child = os.fork()
if child == 0:
    os._exit(sync.add(40))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 41
print(sync.add(2))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=_here())
    assert (ran.stdout, ran.stderr) == ("3\n", "")


def test_a_store_is_used_without_an_event_loop(tmp_path) -> None:
    """Scripts and notebooks read and write threads with plain calls."""
    now = clock.now()
    thread = Thread(id="t", resource_id="ada", created_at=now, updated_at=now)
    for store in (InMemoryStore(), LibSQLStore(url=f"file:{tmp_path / 'm.db'}")):
        with store.sync as opened:
            opened.memory.save_turn(thread=thread, messages=[Message(id=f"m{i:03}", thread_id="t") for i in range(250)])
            assert [message.id for message in opened.memory.iter_messages("t")] == [f"m{i:03}" for i in range(250)]
            assert opened.memory.list_messages("t", per_page=2).has_more
            assert opened.get_store("memory") is opened.memory
            assert opened.get_store("scores") is opened.scores


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
