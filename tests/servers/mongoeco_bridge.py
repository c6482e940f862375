"""Runs mongoeco as a server with search indexes; started by `mongoeco.py` with a Python 3.13 that has mongoeco: `mongoeco_bridge.py PORT`.

mongoeco has search indexes and `$vectorSearch`, and no commands over the wire to make, list and drop the former. They are added here, and
answer as Atlas does where that matters to a client: an index is "BUILDING" when it is first looked at and finds nothing until then; a
search of an index that is not there finds nothing; one narrowed by a field that the index does not name is refused.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import Any

from bson.int64 import Int64
from mongoeco.api import AsyncMongoClient
from mongoeco.engines.memory import MemoryEngine
from mongoeco.errors import OperationFailure
from mongoeco.types import SearchIndexModel
from mongoeco.wire.executor import WireCommandExecutor
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer

Place = tuple[str, str]
"""A database and a collection."""


@dataclasses.dataclass
class SearchIndex:
    """One search index, as a client described it."""

    name: str
    type: str
    definition: dict[str, Any]
    looks: int = 0

    def shown(self) -> dict[str, Any]:
        """What a client is told of it."""
        ready = self.looks > 0
        self.looks += 1
        told = {"id": f"id-{self.name}", "name": self.name, "type": self.type, "queryable": ready}
        return {**told, "status": "READY" if ready else "BUILDING", "latestDefinition": self.definition}

    def simulated(self) -> dict[str, Any]:
        """The part of the definition that mongoeco knows: it narrows a search by any field, and wants none named."""
        if self.type != "vectorSearch":
            return self.definition
        return {**self.definition, "fields": [field for field in self.definition["fields"] if field["type"] == "vector"]}

    def check_filter(self, asked: Any) -> None:
        """Refuse a field that the index does not name."""
        named = {field["path"] for field in self.definition["fields"] if field["type"] == "filter"}
        for name, value in asked.items():
            if name in {"$and", "$or"}:
                for one in value:
                    self.check_filter(one)
            elif name not in named:
                raise OperationFailure(f"Path '{name}' needs to be indexed as filter", code=8)


class SearchCommands(WireCommandExecutor):
    """mongoeco's commands, and those of search indexes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._indexes: dict[Place, dict[str, SearchIndex]] = {}

    def _build_request_context(self, body: dict[str, Any], **named: Any) -> Any:
        if self._kind(body) is None:
            return super()._build_request_context(body, **named)
        # mongoeco refuses a command that it does not know, so it is told of one that it does.
        known = {"ping": 1, **{name: value for name, value in body.items() if name in {"$db", "lsid", "$clusterTime", "$readPreference"}}}
        context = super()._build_request_context(known, connection=named["connection"], db_name=named.get("db_name"))
        return dataclasses.replace(context, command_name=self._kind(body), raw_body=body)

    async def execute_prepared(self, context: Any) -> dict[str, Any]:
        answer = await self._answer(context)
        if "cursor" in answer:
            # The driver of Node.js takes no smaller integer.
            answer = {**answer, "cursor": {**answer["cursor"], "id": Int64(answer["cursor"]["id"])}}
        return answer

    async def _answer(self, context: Any) -> dict[str, Any]:
        body = context.raw_body
        place = (context.db_name, str(next(iter(body.values()))))
        if self._kind(body) is not None:
            return await getattr(self, f"_{self._kind(body)}")(place, body)
        if next(iter(body)) == "aggregate" and "$vectorSearch" in (body["pipeline"] or [{}])[0]:
            asked = body["pipeline"][0]["$vectorSearch"]
            index = self._of(place).get(asked["index"])
            if index is None or not index.looks:
                return self._cursor(place, [])
            index.check_filter(asked.get("filter", {}))
        answer = await super().execute_prepared(context)
        if next(iter(body)) == "drop":
            self._indexes.pop(place, None)
        elif next(iter(body)) == "dropDatabase":
            self._indexes = {other: held for other, held in self._indexes.items() if other[0] != context.db_name}
        return answer

    def _kind(self, body: dict[str, Any]) -> str | None:
        name = next(iter(body), "")
        if name in {"createSearchIndexes", "updateSearchIndex", "dropSearchIndex"}:
            return name
        listed = name == "aggregate" and body.get("pipeline") and "$listSearchIndexes" in body["pipeline"][0]
        return "listSearchIndexes" if listed else None

    def _of(self, place: Place) -> dict[str, SearchIndex]:
        return self._indexes.setdefault(place, {})

    def _cursor(self, place: Place, found: list[Any]) -> dict[str, Any]:
        return {"ok": 1.0, "cursor": {"id": 0, "ns": ".".join(place), "firstBatch": found}}

    async def _createSearchIndexes(self, place: Place, body: dict[str, Any]) -> dict[str, Any]:  # the command's name
        made = []
        for given in body["indexes"]:
            index = SearchIndex(given.get("name", "default"), given.get("type", "search"), given["definition"])
            if index.name in self._of(place):
                raise OperationFailure(f"index {index.name} is there", code=68, details={"codeName": "IndexAlreadyExists"})
            model = SearchIndexModel(index.simulated(), name=index.name, type=index.type)
            await self._client[place[0]][place[1]].create_search_index(model)
            self._of(place)[index.name] = index
            made.append({"id": f"id-{index.name}", "name": index.name})
        return {"ok": 1.0, "indexesCreated": made}

    async def _updateSearchIndex(self, place: Place, body: dict[str, Any]) -> dict[str, Any]:  # the command's name
        index = self._of(place)[body["name"]]
        index.definition = body["definition"]
        return {"ok": 1.0}

    async def _dropSearchIndex(self, place: Place, body: dict[str, Any]) -> dict[str, Any]:  # the command's name
        if body["name"] not in self._of(place):
            raise OperationFailure(f"there is no search index {body['name']}", code=27, details={"codeName": "IndexNotFound"})
        await self._client[place[0]][place[1]].drop_search_index(body["name"])
        del self._of(place)[body["name"]]
        return {"ok": 1.0}

    async def _listSearchIndexes(self, place: Place, body: dict[str, Any]) -> dict[str, Any]:  # the stage's name
        asked = body["pipeline"][0]["$listSearchIndexes"].get("name")
        return self._cursor(place, [index.shown() for name, index in self._of(place).items() if asked in {None, name}])


async def main(port: int) -> None:
    """Serve until the process is ended."""
    client = AsyncMongoClient(MemoryEngine(), mongodb_dialect="8.0")
    server = AsyncMongoEcoProxyServer(client=client, host="127.0.0.1", port=port)
    server._executor = SearchCommands(client, server._cursor_store, server._session_store, surface=server._surface, auth=server._auth)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
