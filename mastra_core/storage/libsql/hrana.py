"""Hrana 3 over HTTP: batches of SQL statements, each on a condition, to a libSQL server in one request.

A batch opens a stream and closes it in the same request, so nothing is kept on the server between two batches: a transaction that was not
committed is rolled back there. (Spec: docs/HRANA_3_SPEC.md of libSQL's repository.)

Knows the protocol and httpx2, imported when a client is made. Must not know records, nor what a statement is for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs

from mastra_core.errors import ConfigurationError, StoreClosedError
from mastra_core.storage.libsql.address import Address

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 5.0
"""How long opening a connection may take, as in the TypeScript package."""

TIMEOUT_SECONDS = 30.0
"""How long the server may keep silent, and how long a request waits for a free connection."""

CONNECTIONS = 20
"""Requests that are under way at once at most; the others wait."""

IDLE_SECONDS = 30.0
"""How long a connection is kept for the next turn."""

TOO_LARGE = "RESPONSE_TOO_LARGE"
"""The server's code for more than it answers to a batch at once; 10 MB unless it was started with another limit."""

Rows = Sequence[Sequence[Any]]
Condition = Mapping[str, Any]


class HranaError(Exception):
    """The server, or the way to it, refused or failed.

    Attributes:
        code: the server's own, such as "SQLITE_BUSY"; "" where there was no answer.
        status: of the HTTP answer; 0 where there was none.
        without_effect: whether it is certain that nothing was written, or that writing it twice is the same.
    """

    def __init__(self, message: str, *, code: str = "", status: int = 0, without_effect: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.without_effect = without_effect

    def again(self) -> HranaError:
        """The same error for another who met it."""
        other = HranaError(str(self), code=self.code, status=self.status, without_effect=self.without_effect)
        other.__cause__ = self.__cause__
        return other


@attrs.frozen
class Step:
    """One statement of a batch, its parameters by place, and the condition on earlier steps; None is none."""

    sql: str
    parameters: Sequence[Any] = ()
    condition: Condition | None = None


@attrs.frozen(eq=False, slots=False)
class Batch:
    """Steps that are run one after the other; a failed one does not end the batch, conditions do.

    Attributes:
        steps: in order.
        repeatable: whether running them twice is the same, as of reads; errors say so.
    """

    steps: Sequence[Step]
    repeatable: bool = attrs.field(kw_only=True)

    @cached_property
    def text(self) -> str:
        """As it is sent."""
        return _dumped({"steps": [_step(step) for step in self.steps]})


@attrs.frozen
class Result:
    """What came of a step: rows, or an error; neither if its condition did not hold."""

    rows: Rows | None = None
    error: HranaError | None = None


def rows_of(result: Result) -> Rows:
    """The rows of a step.

    Raises:
        HranaError: it failed.
    """
    if result.error is not None:
        raise result.error
    return result.rows or ()


def succeeded(step: int) -> Condition:
    """Step number *step* was run and did not fail."""
    return {"type": "ok", "step": step}


IN_TRANSACTION: Condition = {"type": "not", "cond": {"type": "is_autocommit"}}
"""Something was begun on the stream and not ended."""


def unless(condition: Condition) -> Condition:
    """*condition* does not hold."""
    return {"type": "not", "cond": condition}


class HranaClient:
    """Sends batches to one server.

    Args:
        address: the server and its token.
        client: whose connections to use; without one, a client of its own, which close() closes.
        timeout_seconds: how long the server may keep silent.

    Raises:
        ConfigurationError: httpx2 is not installed.
    """

    def __init__(self, address: Address, *, client: httpx2.AsyncClient | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._address = address
        self._http = _imported()
        self._mine = client is None
        self._client = client or self._made(timeout_seconds)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {address.token}"} if address.token else {})

    async def close(self) -> None:
        """Wait for the answers that are owed, then close the connections, if this client made them."""
        self._closed = True
        await self._idle.wait()
        if self._mine:
            await self._client.aclose()

    async def batch(self, steps: Sequence[Step], *, repeatable: bool = False) -> list[Result]:
        """The results of *steps*; see send.

        Raises:
            HranaError: there was no answer, or it was no batch's. Errors of single steps are in their results.
        """
        (outcome,) = await self.send([Batch(steps, repeatable=repeatable)])
        if isinstance(outcome, HranaError):
            raise outcome
        return outcome

    async def send(self, batches: Sequence[Batch]) -> list[list[Result] | HranaError]:
        """Run *batches* one after the other on one stream; one request, and two more for each whose answer is very long.

        A batch that fails as a whole does not keep the others from running.

        Raises:
            HranaError: there was no answer.
        """
        requests = ",".join(f'{{"type":"batch","batch":{batch.text}}}' for batch in batches)
        repeatable = all(batch.repeatable for batch in batches)
        body = f'{{"baton":null,"requests":[{requests},{{"type":"close"}}]}}'
        answered = (await self._posted("/v3/pipeline", body, repeatable=repeatable))["results"]
        outcomes: list[list[Result] | HranaError] = []
        for batch, outcome in zip(batches, answered, strict=False):
            if outcome["type"] == "ok":
                outcomes.append(_results(outcome["response"]["result"]))
                continue
            refusal: list[Result] | HranaError = _refusal(outcome["error"])
            if isinstance(refusal, HranaError) and refusal.code == TOO_LARGE:
                # What it had begun was rolled back: by the next batch, or with the stream.
                try:
                    refusal = await self._streamed(batch)
                except HranaError as error:
                    refusal = error
            outcomes.append(refusal)
        return outcomes

    async def _streamed(self, batch: Batch) -> list[Result]:
        """The results of a batch through a cursor, which has no limit but leaves its stream to be closed."""
        text = await self._sent("/v3/cursor", f'{{"baton":null,"batch":{batch.text}}}', repeatable=batch.repeatable)
        head, *entries = [_decoded_body(line) for line in text.splitlines()]
        # A courtesy: the server ends a stream that is left alone.
        with contextlib.suppress(HranaError):
            await self._posted("/v3/pipeline", _dumped({"baton": head.get("baton"), "requests": [{"type": "close"}]}), repeatable=True)
        results = [Result()] * len(batch.steps)
        rows: list[list[Any]] = []
        at = 0
        for entry in entries:
            match entry["type"]:
                case "step_begin":
                    rows, at = [], entry["step"]
                case "row":
                    rows.append([_decoded(value) for value in entry["row"]])
                case "step_end":
                    results[at] = Result(rows)
                case "step_error":
                    results[entry["step"]] = Result(error=_refusal(entry["error"]))
                case "error":
                    raise _refusal(entry["error"])
        return results

    async def _posted(self, path: str, body: str, *, repeatable: bool) -> Any:
        return _decoded_body(await self._sent(path, body, repeatable=repeatable))

    async def _sent(self, path: str, body: str, *, repeatable: bool) -> bytes:
        """The body of the answer to one request."""
        if self._closed:
            msg = "the store was closed while this operation waited; open a new one to go on"
            raise StoreClosedError(msg)
        self._under_way += 1
        self._idle.clear()
        try:
            response = await self._client.post(
                self._address.url + path, content=body.encode(), headers=self._headers, follow_redirects=False
            )
        except (self._http.ConnectError, self._http.ConnectTimeout, self._http.PoolTimeout) as error:
            raise HranaError(_said(error), without_effect=True) from error
        except self._http.HTTPError as error:
            raise HranaError(_said(error), without_effect=repeatable) from error
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        if response.status_code == HTTPStatus.OK:
            return response.content
        raise _answered(response, repeatable=repeatable)

    def _made(self, timeout_seconds: float) -> httpx2.AsyncClient:
        http: Any = self._http
        limits = http.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS)
        made: httpx2.AsyncClient = http.AsyncClient(timeout=http.Timeout(timeout_seconds, connect=CONNECT_SECONDS), limits=limits)
        return made


def _imported() -> Any:
    try:
        import httpx2
    except ModuleNotFoundError as error:
        if error.name != "httpx2":
            raise
        msg = 'a remote libSQL server is reached through httpx2, which is not installed: pip install "mastra-core[libsql]"'
        raise ConfigurationError(msg) from None
    return httpx2


def _step(step: Step) -> dict[str, Any]:
    sent: dict[str, Any] = {"stmt": {"sql": step.sql, "args": [_encoded(value) for value in step.parameters]}}
    if step.condition is not None:
        sent["condition"] = step.condition
    return sent


def _encoded(value: Any) -> dict[str, Any]:
    """A value of SQLite; integers as text, since JSON's numbers may be read as floats."""
    match value:
        case str():
            return {"type": "text", "value": value}
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(int(value))}
        case float():
            return {"type": "float", "value": value}
        case bytes():
            return {"type": "blob", "base64": base64.b64encode(value).decode()}
    raise TypeError(type(value))


def _decoded(value: Mapping[str, Any]) -> Any:
    match value["type"]:
        case "integer":
            return int(value["value"])
        case "float":
            # An infinity is no JSON: servers write null. What it is read as is refused as no number.
            return math.nan if value["value"] is None else float(value["value"])
        case "blob":
            # Servers leave the padding out.
            return base64.b64decode(value["base64"] + "=" * (-len(value["base64"]) % 4))
        case _:
            return value.get("value")


def _dumped(message: Mapping[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))  # noqa: TID251  # a message, not a stored value


def _results(found: Mapping[str, Any]) -> list[Result]:
    return [
        Result(
            None if result is None else [[_decoded(value) for value in row] for row in result["rows"]],
            None if error is None else _refusal(error),
        )
        for result, error in zip(found["step_results"], found["step_errors"], strict=True)
    ]


def _decoded_body(content: bytes) -> Any:
    try:
        return json.loads(content)  # noqa: TID251  # a message, not a stored value
    except ValueError as error:
        raise HranaError(f"it answered something else than JSON ({content[:60]!r}); is it a libSQL server?") from error


def _refusal(error: Mapping[str, Any]) -> HranaError:
    """What the server says of a step or a batch, none of which was kept."""
    return HranaError(str(error.get("message", "")), code=str(error.get("code") or ""), status=HTTPStatus.OK, without_effect=True)


def _answered(response: httpx2.Response, *, repeatable: bool) -> HranaError:
    """The error of an HTTP status; the body is the server's `Error`, or whatever something in between wrote."""
    try:
        body = response.json()
    except ValueError:
        body = None
    body = body if isinstance(body, Mapping) else {}
    said = str(body.get("message") or body.get("error") or response.reason_phrase or "no reason given")
    status = response.status_code
    # What is asked for wrongly or too often is not begun; what failed inside may have been.
    return HranaError(said[:200], code=str(body.get("code") or ""), status=status, without_effect=repeatable or status < 500)


def _said(error: Exception) -> str:
    """What happened on the way, and its class where the text is empty."""
    return str(error) or type(error).__name__
