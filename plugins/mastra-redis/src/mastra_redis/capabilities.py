"""How far each thing of the port is done, on one node and on a cluster, and why not further. Data alone; knows no driver."""

from __future__ import annotations

from collections.abc import Mapping

from mastra_core.storage.records.engine import FULL, Support, emulated, not_yet

_FILTERS = emulated("conditions on lists are tested here, on pages of 256 records that are read one after the other")
_SCAN = emulated("in the order of the names of keys: all are looked through, and again for every 100,000 of them and every resumption")

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
        "a message goes to another thread in two steps: written there, then removed here, with the mark that this thread has changed; "
        "the lists of threads, runs, scores and spans follow likewise"
    ),
    "window": emulated("where the record is (unless the hint is right), the record, then its neighbours: two or three commands"),
    "count": emulated("what lies in other slots than its list is counted by reading it: entries may be older than their records"),
    "open_paths": emulated("one sorted set in one slot names every thread, run, score or trace; all of them are read and sorted here"),
    "pages": emulated("lists of threads, scores and traces are read whole and cut here; a thread's messages are not"),
    "mastra_messages.by_resource": emulated(
        "every message of the database is read: a list of a resource's messages would cost a command in another slot for each message saved"
    ),
}
