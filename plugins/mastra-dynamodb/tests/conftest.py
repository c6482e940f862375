"""Fixtures of the real server, and of an index that lags."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse

from mastra_core.storage.records import guard
from mastra_core.storage.records.kind import Kind
from mastra_dynamodb import engine, keys, writing

LATE = "$mastra#entity_message#"


class LaggingClient:
    """A boto3 client whose index of messages shows every write only after the next one: as AWS may, and DynamoDB Local never does.

    The index is a real one, of a second table that each write reaches late. Passes on to *client*; Query on messages of *table*, or on what
    else begins with `late`, is answered by *shadow*.
    """

    def __init__(self, client: Any, *, table: str, shadow: str, frozen: bool = False) -> None:
        self._client = client
        self._table = table
        self._shadow = shadow
        self._pending: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self.frozen = frozen
        self.late = LATE

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]], **arguments: Any) -> Any:
        """Write, then let the index show the write before this one."""
        answer = self._client.transact_write_items(TransactItems=TransactItems, **arguments)
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
        """Ask the late index for what it has."""
        late = "IndexName" in arguments and arguments["ExpressionAttributeValues"][":p"]["S"].startswith(self.late)
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


def item_of(kind: Kind[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """An item as TypeScript writes it."""
    json_fields = {field.stored for field in kind.fields if field.type in {"json", "json_text"}}
    item = {name: json.dumps(value) if name in json_fields else value for name, value in document.items() if value is not None}
    layout = keys.layout_of(kind)
    pk, sk = keys.item_key(kind, tuple(document[kind.by_name[name].stored] for name in kind.key))
    item |= {"pk": pk, "sk": sk, "entity": layout.entity, "__edb_e__": layout.entity, "__edb_v__": "1"}
    for index in keys.written_indexes(layout):
        item |= {
            f"{index.name}pk": keys.index_partition(layout, index, item),
            f"{index.name}sk": keys.index_sort(layout, {name: item[name] for name in index.sorts}),
        }
    return {name: {"S": value} for name, value in item.items()}


@pytest.fixture(scope="session")
def typescript_item() -> Callable[[Kind[Any], Mapping[str, Any]], dict[str, Any]]:
    """The item that TypeScript writes for a document of a kind."""
    return item_of


def shown(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of an item with their types, marks without the random end of their tokens."""
    attributes = {}
    for name in sorted(item):
        ((form, value),) = item[name].items()
        marked = f"{name[:-6]}??????" if name.startswith(keys.MARKS) and name != keys.MARKS else name
        attributes[f"{item[keys.ENTITY]['S']} {marked} {form}"] = f"{value[:-6]}??????" if name == keys.MARKS else value
    return attributes


@pytest.fixture
def written(dynamodb_client: Any) -> Callable[[str], dict[str, Any]]:
    """By a table: the items that are new there or other than at the last look, without the random part of marks."""
    seen: dict[str, Any] = {}

    def look(table: str) -> dict[str, Any]:
        items = dynamodb_client.scan(TableName=table, ConsistentRead=True)["Items"]
        found = {f"{item['pk']['S']} {item['sk']['S']}": shown(item) for item in items}
        news = {name: value for place, item in sorted(found.items()) if seen.get(place) != item for name, value in item.items()}
        seen.clear()
        seen.update(found)
        return news

    return look


@pytest.fixture(scope="session")
def refusal() -> Callable[[str], Callable[[Any], AWSResponse]]:
    """By a code of the service: what it answers to a request then, as the answer of a "before-send" event."""

    def of(code: str) -> Callable[[Any], AWSResponse]:
        def answer(request: Any) -> AWSResponse:
            body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()
            raw: Any = type("Raw", (), {"stream": lambda *_, **__: iter([body]), "headers": {}})()
            return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw)

        return answer

    return of


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused or lost is sent again as often, and at once: by a store, its engine, and the driver of clients made from now on."""
    monkeypatch.setattr("mastra_core.storage.records.guard.RETRY_DELAYS_SECONDS", tuple(0.001 for _ in guard.RETRY_DELAYS_SECONDS))
    for module in (engine, writing):
        monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_, **__: 0.001)


class Front:
    """An HTTP server before DynamoDB Local that answers some operations as AWS does, which knows permissions and tokens; the rest pass through.

    Args:
        endpoint: of DynamoDB Local.

    Attributes:
        refused: by operation, or "" for all: the code and the words of AWS's answer.
    """

    def __init__(self, endpoint: str) -> None:
        self.refused: dict[str, tuple[str, str]] = {}
        front, target = self, urlsplit(endpoint)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes, and the second one would wait for an acknowledgement.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                refused = front.refused.get(operation) or front.refused.get("")
                if refused is not None:
                    document = {"__type": f"com.amazon.coral.service#{refused[0]}", "message": refused[1]}
                    self.give(400, json.dumps(document).encode(), "application/x-amz-json-1.0")
                    return
                behind = HTTPConnection(str(target.hostname), target.port or 80, timeout=30)
                behind.request("POST", self.path, body, dict(self.headers))
                answer = behind.getresponse()
                self.give(answer.status, answer.read(), answer.headers["Content-Type"])
                behind.close()

            def give(self, status: int, body: bytes, form: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", form)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """To nobody."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop to listen."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def front(dynamodb_endpoint: str) -> Iterator[Front]:
    """DynamoDB Local behind a server that refuses what it is told to."""
    front = Front(dynamodb_endpoint)
    yield front
    front.close()


@pytest.fixture
def dynamodb_url(dynamodb_table: str, dynamodb_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty table, for other processes and languages too: credentials are in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    return f"dynamodb://{dynamodb_table}?region=us-east-1&endpoint={dynamodb_endpoint}"


def pytest_configure(config: pytest.Config) -> None:
    """Servers come from the repository's fixtures."""
    config.pluginmanager.import_plugin("tests.servers.fixtures")
    config.pluginmanager.import_plugin("tests.briefly")
