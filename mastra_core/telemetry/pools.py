"""How busy the connections of stores are, as OpenTelemetry's metrics tell it, whenever somebody collects them.

Knows stores' guards and OpenTelemetry's meters. Must not know any driver. Needs mastra-core[otel].
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from mastra_core.storage.records.engine import PoolState
from mastra_core.storage.records.records import Records

POOL = "db.client.connection.pool.name"
STATE = "db.client.connection.state"


class Pools:
    """Tells of the pools that it was given; those of one name, such as of two stores with one id, are added up.

    * `db.client.connection.count`: connections, those in use and those that are idle.
    * `db.client.connection.pending_requests`: calls that wait for one.

    Stores that are not open, or whose engine has no pool, are not told of.

    Args:
        provider: gives the meter.
    """

    def __init__(self, provider: MeterProvider) -> None:
        self._watched: tuple[Records, ...] = ()
        meter = provider.get_meter("mastra_core")
        meter.create_observable_up_down_counter(
            "db.client.connection.count", [self._counted], unit="{connection}", description="Connections of stores, by what they do."
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.pending_requests", [self._pending], unit="{request}", description="Calls that wait for a connection."
        )

    def add(self, records: Iterable[Records]) -> None:
        """Tell of these too."""
        self._watched += tuple(records)

    def remove(self, records: Iterable[Records]) -> None:
        """Tell of these no more; those of another Mastra that has added them too are told of all the same."""
        left = list(self._watched)
        for one in records:
            if one in left:
                left.remove(one)
        self._watched = tuple(left)

    def _counted(self, _: CallbackOptions) -> Iterable[Observation]:
        for name, state in self._states().items():
            yield Observation(state.open - state.idle, {POOL: name, STATE: "used"})
            yield Observation(state.idle, {POOL: name, STATE: "idle"})

    def _pending(self, _: CallbackOptions) -> Iterable[Observation]:
        for name, state in self._states().items():
            yield Observation(state.waiting, {POOL: name})

    def _states(self) -> dict[str, PoolState]:
        found: dict[str, PoolState] = {}
        for records in set(self._watched):
            if (one := records.pool()) is not None:
                same = found.get(records.store_id, PoolState(open=0, idle=0, waiting=0))
                total = PoolState(open=same.open + one.open, idle=same.idle + one.idle, waiting=same.waiting + one.waiting)
                found[records.store_id] = total
        return found


_POOLS: WeakKeyDictionary[MeterProvider, Pools] = WeakKeyDictionary()


def pools_of(provider: MeterProvider) -> Pools:
    """The one that tells *provider*, which would not ask a second one of the same names."""
    found = _POOLS.get(provider)
    if found is None:
        found = _POOLS[provider] = Pools(provider)
    return found
