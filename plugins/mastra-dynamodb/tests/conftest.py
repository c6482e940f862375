"""Fixtures of the real server, and of an index that lags."""

from __future__ import annotations

import threading
from typing import Any

import pytest

LATE = "$mastra#entity_message#"


class LaggingClient:
    """A boto3 client whose index of messages shows every write only after the next one: as AWS may, and DynamoDB Local never does.

    The index is a real one, of a second table that each write reaches late. Passes on to *client*; Query on messages of *table* is answered by *shadow*.
    """

    def __init__(self, client: Any, *, table: str, shadow: str, frozen: bool = False) -> None:
        self._client = client
        self._table = table
        self._shadow = shadow
        self._pending: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self.frozen = frozen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> Any:
        """Write, then let the index show the write before this one."""
        answer = self._client.transact_write_items(TransactItems=TransactItems)
        with self._lock:
            self._pending += [next(iter(element.values()))["Key"] for element in TransactItems]
            late, written = self._pending[: -len(TransactItems)], self._pending[-len(TransactItems) :]
            if not self.frozen:
                self._pending = written
                self._deliver(late)
        return answer

    def deliver(self) -> None:
        """Let the index show everything."""
        with self._lock:
            late, self._pending = self._pending, []
            self._deliver(late)

    def query(self, **arguments: Any) -> Any:
        """Ask the late index for messages."""
        late = arguments["ExpressionAttributeValues"][":p"]["S"].startswith(LATE)
        return self._client.query(**{**arguments, "TableName": self._shadow if late else self._table})

    def _deliver(self, keys: list[dict[str, Any]]) -> None:
        for key in keys:
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
            if item is None:
                self._client.delete_item(TableName=self._shadow, Key=key)
            else:
                self._client.put_item(TableName=self._shadow, Item=item)


@pytest.fixture
def lagging() -> type[LaggingClient]:
    """The client, to be made with two tables."""
    return LaggingClient


def pytest_configure(config: pytest.Config) -> None:
    """Servers come from the repository's fixtures."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
