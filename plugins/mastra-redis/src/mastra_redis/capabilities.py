"""How far each thing of the port is done, on one node and on a cluster, and why not further. Data alone; knows no driver."""

from __future__ import annotations

from collections.abc import Mapping

from mastra_core.storage.records.engine import FULL, Support, emulated, not_yet

_FILTERS = emulated("conditions on lists are tested here, on pages of 256 records that are read one after the other")
_SCAN = not_yet("SCAN repeats and skips within a page; it comes with the repair of databases that other programs wrote to")

ON_A_NODE: Mapping[str, Support] = {
    "atomic": FULL,
    "moves": FULL,
    "merge": emulated("read, merged here, and written if the text is still the same: two commands, more under contention"),
    "filters": _FILTERS,
    "pages": FULL,
    "span": FULL,
    "window": emulated("the record first, then its neighbours: two commands, between which others may write"),
    "count": FULL,
    "open_paths": FULL,
    "own_lists": FULL,
    "decide": emulated("optimistic: read, computed here, and written if every text is still the same"),
    "purge": FULL,
    "scan": _SCAN,
}

ON_A_CLUSTER: Mapping[str, Support] = {
    **ON_A_NODE,
    "atomic": not_yet("a batch is atomic within one thread; threads and resources lie in different hash slots, and no script reaches two"),
    "moves": emulated(
        "a message goes to another thread in two steps: written there, then removed here; the lists of threads follow likewise"
    ),
    "window": emulated("where the record is (unless the hint is right), the record, then its neighbours: two or three commands"),
    "count": emulated("threads are counted by reading them: entries in another slot may be older than their records"),
    "open_paths": emulated("one sorted set in one slot names every thread; all of them are read and sorted here"),
}
