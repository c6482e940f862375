"""Engines whose database is not made ready as an engine promises, or not looked at as it promises, made of the in-memory one."""

from __future__ import annotations

import asyncio

import attrs

from mastra_core.errors import ConflictError
from mastra_core.storage.records.inmemory import InMemoryEngine


class TellsAnotherDDLEachTime(InMemoryEngine):
    def ddl(self):
        self.told = getattr(self, "told", 0) + 1
        return (f"CREATE TABLE t{self.told};",)


class NeverGetsReady(InMemoryEngine):
    def ddl(self):
        return ("CREATE TABLE t;",)

    async def inspect(self):
        return attrs.evolve(await super().inspect(), missing=self.ddl())


class PreparesWhenLookedAt(InMemoryEngine):
    prepared = False

    def ddl(self):
        return ("CREATE TABLE t;",)

    async def inspect(self):
        missing, self.prepared = () if self.prepared else self.ddl(), True
        return attrs.evolve(await super().inspect(), missing=missing)


class ClosesWhenLookedAt(InMemoryEngine):
    async def inspect(self):
        self.tables = {}
        return await super().inspect()


class EmptiesWhatItOpens(InMemoryEngine):
    def again(self):
        other = type(self)()
        other.tables = self.tables
        return other

    async def open(self):
        await asyncio.sleep(0)
        self.tables.clear()


class PreparesWithoutALock(EmptiesWhatItOpens):
    """Looks, and then makes what was missing, though others may have made it meanwhile."""

    async def open(self):
        if "mastra_threads" not in self.tables:
            await asyncio.sleep(0)
            if "mastra_threads" in self.tables:
                raise ConflictError("there is a table mastra_threads already")
            self.tables["mastra_threads"] = {}
