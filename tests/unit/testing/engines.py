"""Engines that break one promise each, made of the in-memory one. Knows the model's inside; nothing else should."""

from __future__ import annotations

import asyncio

import attrs

from mastra_core.errors import ConflictError, UnsupportedError
from mastra_core.storage.records.changes import Patch, Refused, Save
from mastra_core.storage.records.engine import CAPABILITIES, FULL, PoolState, Support, emulated, impossible, not_yet
from mastra_core.storage.records.inmemory import InMemoryEngine
from mastra_core.storage.records.query import Count, Get, Is, Query, Window


def declaring(**declared):
    return {**dict.fromkeys(CAPABILITIES, FULL), **declared}


class TurnsTiesRound(InMemoryEngine):
    def _listed(self, query):
        order = query.kind.path(query.path).order
        found = super()._listed(query)
        found.reverse()
        return sorted(found, key=lambda record: getattr(record, order), reverse=query.descending)


class IgnoresWhen(InMemoryEngine):
    def _step(self, index, change):
        return super()._step(index, attrs.evolve(change, when=()))


class ForgetsKeep(InMemoryEngine):
    def _step(self, index, change):
        text, answer = super()._step(index, change)
        if isinstance(change, Save) and change.only is None and change.kind.keep:
            self.tables.get(change.kind.name, {}).pop(change.key, None)
            return super()._step(index, change)
        return text, answer


class WritesHalfABatch(InMemoryEngine):
    def _write(self, changes):
        answers = []
        for index, change in enumerate(changes):
            try:
                answers += super()._write([change])
            except Refused as refused:
                raise Refused(index, change, refused.found) from None
        return answers


class SharesValues(InMemoryEngine):
    def __init__(self):
        super().__init__()
        self.shared = {}

    def _load(self, kind, key):
        text = self.tables.get(kind.name, {}).get(key)
        return None if text is None else self.shared.setdefault((kind.name, text), super()._load(kind, key))


class LowersTimes(InMemoryEngine):
    def _step(self, index, change):
        if isinstance(change, Save | Patch) and change.raise_to and change.key in self.tables.get(change.kind.name, {}):
            super()._step(index, change)
            return super()._step(index, Patch(change.kind, change.key, put=change.raise_to))
        return super()._step(index, change)


class BlamesTheFirstChange(InMemoryEngine):
    def _write(self, changes):
        try:
            return super()._write(changes)
        except Refused as refused:
            raise Refused(0, changes[0], refused.found) from None


class ForgetsWhatItFound(InMemoryEngine):
    def _write(self, changes):
        try:
            return super()._write(changes)
        except Refused as refused:
            raise Refused(refused.index, refused.change, None) from None


class LosesRaces(InMemoryEngine):
    async def apply(self, changes, *, atomic):
        steps = [self._step(index, change) for index, change in enumerate(changes)]
        await asyncio.sleep(0)
        for change, (text, _) in zip(changes, steps, strict=True):
            if text is not None:
                self.tables.setdefault(change.kind.name, {})[change.key] = text
        return [answer for _, answer in steps]


class TurnsEmptyListsIntoObjects(InMemoryEngine):
    def _write(self, changes):
        answers = super()._write(changes)
        self.tables = {name: {key: text.replace("[]", "{}") for key, text in table.items()} for name, table in self.tables.items()}
        return answers


class StoresOtherNames(InMemoryEngine):
    """Consistent with itself, unreadable for others."""

    def _write(self, changes):
        answers = super()._write(changes)
        self._rename("createdAt", "created_at")
        return answers

    def _load(self, kind, key):
        self._rename("created_at", "createdAt")
        try:
            return super()._load(kind, key)
        finally:
            self._rename("createdAt", "created_at")

    def _rename(self, old, new):
        self.tables = {
            name: {key: text.replace(f'"{old}"', f'"{new}"') for key, text in table.items()} for name, table in self.tables.items()
        }


class FoldsCase(InMemoryEngine):
    """Overwrites an id that differs by case alone."""

    def _write(self, changes):
        answers = super()._write(changes)
        for change in changes:
            table = self.tables.get(change.kind.name, {})
            for key in [key for key in table if key != change.key and key[0].lower() == change.key[0].lower()]:
                table[key] = table[change.key]
        return answers


class RefusesCase(InMemoryEngine):
    """Says that ids collide by case, as a database with such keys must."""

    def _write(self, changes):
        for change in changes:
            for key in self.tables.get(change.kind.name, {}):
                if key != change.key and key[0].lower() == change.key[0].lower():
                    raise ConflictError(f"{change.key[0]} differs from {key[0]} by case alone")
        return super()._write(changes)


class LetsAnUnknownTypeMatch(InMemoryEngine):
    """Compares as Python does: True is 1."""

    def _listed(self, query):
        typed = [condition for condition in query.where if type(condition).__name__ == "Is"]
        loose = tuple(condition for condition in query.where if condition not in typed)
        found = super()._listed(attrs.evolve(query, where=loose, limit=None, offset=0))
        return [record for record in found if all(self._at(record, condition) == condition.value for condition in typed)][: query.limit]

    def _at(self, record, condition):
        value = getattr(record, condition.field[0])
        for name in condition.field[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        return value


class TrustsHints(InMemoryEngine):
    def _window(self, window):
        found = super()._window(window)
        return [record for record in found if all(getattr(record, name) == value for name, value in window.hint.items())]


class StepsOverInWindows(InMemoryEngine):
    def _window(self, window):
        return super()._window(attrs.evolve(window, before=window.before + 1 if window.before else 0))


class CountsWithoutFilter(InMemoryEngine):
    def _answer(self, read):
        return super()._answer(attrs.evolve(read, where=()) if isinstance(read, Count) else read)


class PurgesWithoutLimit(InMemoryEngine):
    async def purge(self, query, *, limit):
        return await super().purge(query, limit=10**9)


class ScansFromTheStart(InMemoryEngine):
    async def scan(self, kind, *, after):
        async for found in super().scan(kind, after=None):
            yield found


class LosesOldMerges(InMemoryEngine):
    def _step(self, index, change):
        return super()._step(
            index, attrs.evolve(change, put={**change.put, **change.merge}, merge={}) if isinstance(change, Patch) else change
        )


class DecidesOnOldReads(InMemoryEngine):
    async def decide(self, gets, change):
        read = [self._load(get.kind, get.key) for get in gets]
        await asyncio.sleep(0)
        return self._write(change(read))


class LeaksPlaces(InMemoryEngine):
    """Finds places by prefix, as a careless key pattern does."""

    def _listed(self, query):
        found = super()._listed(attrs.evolve(query, at={}))
        return [record for record in found if all(getattr(record, name).startswith(value) for name, value in query.at.items())]


class ReadsWhatIsOmitted(InMemoryEngine):
    def _listed(self, query):
        return super()._listed(attrs.evolve(query, omit=()))


class CountsIdleConnectionsTwice(InMemoryEngine):
    def pool(self):
        return PoolState(open=1, idle=2, waiting=0)


class DeclaresTooLittle(InMemoryEngine):
    capabilities = {name: FULL for name in CAPABILITIES if name != "scan"} | {"teleport": FULL}


class GivesNoReason(InMemoryEngine):
    capabilities = declaring(scan=not_yet(""))


class SaysNotYetToWindowsAndOpensThem(InMemoryEngine):
    capabilities = declaring(window=not_yet("nobody has written it"))


class SaysFullAndRefusesWindows(InMemoryEngine):
    def _window(self, window):
        raise UnsupportedError("no windows here; read the whole thread")


class CannotOpenWindows(SaysFullAndRefusesWindows):
    capabilities = declaring(window=impossible("there is no wall"))


class RefusesWindowsSilently(InMemoryEngine):
    capabilities = declaring(window=not_yet("nobody has written it"))

    def _window(self, window):
        raise UnsupportedError("")


class AnswersEmptyWindows(InMemoryEngine):
    capabilities = declaring(window=not_yet("nobody has written it"))

    def _window(self, window):
        return []


class ShowsListsLate(InMemoryEngine):
    """Every list shows a write at the second look."""

    late = (Query,)

    def __init__(self):
        super().__init__()
        self.looked = set()

    def _write(self, changes):
        self.looked = set()
        return super()._write(changes)

    def _answer(self, read):
        if isinstance(read, Query) and self.lags(read) and repr(read) not in self.looked:
            self.looked.add(repr(read))
            return []
        return super()._answer(read)

    def lags(self, read):
        return True


class ShowsOtherListsLate(ShowsListsLate):
    """As eventually consistent indexes do: a thread's own messages are shown at once."""

    capabilities = declaring(own_lists=emulated("eventually consistent"))

    def lags(self, read):
        return read.path != "by_thread"


class ShowsThreadsLate(ShowsListsLate):
    capabilities = declaring(own_lists=emulated("eventually consistent"))


class ShowsEverythingLate(ShowsListsLate):
    capabilities: dict[str, Support] = declaring(own_lists=not_yet("nothing is consistent"))


class SaysNotYetToMessagesOfAResource(InMemoryEngine):
    capabilities: dict[str, Support] = declaring(**{"mastra_messages.by_resource": not_yet("no index")})


class RefusesMessagesOfAResource(InMemoryEngine):
    def _answer(self, read):
        if not isinstance(read, Get) and (read.kind.name, read.path) == ("mastra_messages", "by_resource"):
            raise UnsupportedError("there is no index for messages of a resource; list its threads")
        return super()._answer(read)


class SaysNotYetToMessagesOfAResourceAndRefusesThem(SaysNotYetToMessagesOfAResource, RefusesMessagesOfAResource):
    pass


class WritesTenAtOnce(InMemoryEngine):
    max_atomic = 10


class LosesTheSecondMillisecond(InMemoryEngine):
    """Wrong in one rare case: for the random walk to find."""

    def _listed(self, query):
        found = super()._listed(query)
        return found[:-1] if query.descending and len(found) == 2 else found


class DoesTheLeast(InMemoryEngine):
    """Nothing that may be left out is there: what the kit still asks of such an engine is what every backend must do."""

    capabilities = declaring(**{name: not_yet("left out") for name in CAPABILITIES if name != "own_lists"})

    def _answer(self, read):
        if isinstance(read, Window | Count) or (
            isinstance(read, Query) and (read.where or read.span or read.offset or read.after or not read.at)
        ):
            raise UnsupportedError("left out")
        return super()._answer(read)

    async def apply(self, changes, *, atomic):
        if any(getattr(change, "merge", None) or not all(map(self._is_text, change.when)) for change in changes):
            raise UnsupportedError("left out")
        before = {change.key: self._load(change.kind, change.key) for change in changes}
        places = {getattr(getattr(change, "record", before[change.key]), "thread_id", change.key[0]) for change in changes}
        if atomic and len(places) > 1:
            raise UnsupportedError("left out")
        tables = {name: dict(table) for name, table in self.tables.items()}
        answers = self._write(changes)
        after = {change.key: self._load(change.kind, change.key) for change in changes}
        if any(self._moved(change.kind, before[change.key], after[change.key]) for change in changes):
            self.tables = tables
            raise UnsupportedError("left out")
        return answers

    def _is_text(self, condition):
        return isinstance(condition, Is) and len(condition.field) == 1 and isinstance(condition.value, str)

    def _moved(self, kind, before, after):
        names = {name for path in kind.paths if not path.order.startswith("updated") for name in (*path.by, path.order)}
        return before is not None and after is not None and any(getattr(before, name) != getattr(after, name) for name in names)

    async def decide(self, gets, change):
        raise UnsupportedError("left out")

    async def purge(self, query, *, limit):
        raise UnsupportedError("left out")

    async def scan(self, kind, *, after):
        raise UnsupportedError("left out")
        yield
