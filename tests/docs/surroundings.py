"""Where programs of documents run: each environment variable that a program reads, and the real server it leads to.

Knows variables and the fixtures of servers. Must not know mastra_core or a document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import pytest

Variables = Mapping[str, str]


def variables_of(program: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment for *program*, with every variable that it reads, and the servers started that they lead to.

    Raises:
        KeyError: it reads one that no server is known for.
    """
    found = dict(os.environ)
    for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', program):
        if name not in found or name in SOURCES:
            found |= SOURCES[name](request)
    if "openai/" in program:
        found |= {"OPENAI_API_KEY": "sk-of-a-test", "OPENAI_BASE_URL": request.getfixturevalue("openai_url")}
    if "DynamoDB" in program or "boto3" in program:
        found |= _dynamodb(request)
    return found


def _is(fixture: str, *names: str) -> Callable[[pytest.FixtureRequest], Variables]:
    return lambda request: dict.fromkeys(names, request.getfixturevalue(fixture))


def _postgres(request: pytest.FixtureRequest) -> Variables:
    parts = urlsplit(request.getfixturevalue("postgres_url"))
    return {
        "PGHOST": parts.hostname or "", "PGPORT": str(parts.port), "PGDATABASE": parts.path.strip("/"),
        "PGUSER": parts.username or "", "PGPASSWORD": parts.password or "unused",
    }  # fmt: skip


def _redis(request: pytest.FixtureRequest) -> Variables:
    parts = urlsplit(request.getfixturevalue("redis_with_password_url"))
    return {"REDIS_HOST": parts.hostname or "", "REDIS_PORT": str(parts.port), "REDIS_PASSWORD": parts.password or ""}


def _sentinel(request: pytest.FixtureRequest) -> Variables:
    parts = urlsplit(request.getfixturevalue("redis_sentinel_url"))
    host, _, port = parts.netloc.partition(",")[0].partition(":")
    return {"SENTINEL_HOST": host, "SENTINEL_PORT": port, "SENTINEL_SERVICE": parts.path.strip("/").partition("/")[0]}


def _cluster(request: pytest.FixtureRequest) -> Variables:
    parts = urlsplit(request.getfixturevalue("redis_cluster_url"))
    return {"REDIS_CLUSTER_HOST": parts.hostname or "", "REDIS_CLUSTER_PORT": str(parts.port)}


def _mongodb(request: pytest.FixtureRequest) -> Variables:
    url = request.getfixturevalue("mongodb_url")
    database = urlsplit(url).path.strip("/")
    return {"MONGODB_URI": url, "MONGODB_DATABASE": database, "MONGODB_DB_NAME": database}


def _turso(request: pytest.FixtureRequest) -> Variables:
    return {"TURSO_DATABASE_URL": request.getfixturevalue("sqld_url"), "TURSO_AUTH_TOKEN": "a-token"}


def _dynamodb(request: pytest.FixtureRequest) -> Variables:
    endpoint = request.getfixturevalue("dynamodb_endpoint")
    return {
        "MASTRA_TABLE": request.getfixturevalue("dynamodb_table"), "DYNAMODB_ENDPOINT": endpoint, "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip


SOURCES: Mapping[str, Callable[[pytest.FixtureRequest], Variables]] = {
    **dict.fromkeys(("DATABASE_URL", "AGENT_DATABASE_URL"), _is("postgres_url", "DATABASE_URL", "AGENT_DATABASE_URL")),
    **dict.fromkeys(("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"), _postgres),
    "DATABASE_SSL": lambda request: {"DATABASE_SSL": "false"},
    "REDIS_URL": _is("redis_url", "REDIS_URL"),
    "UPSTASH_REDIS_URL": _is("redis_url", "UPSTASH_REDIS_URL"),
    **dict.fromkeys(("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"), _redis),
    **dict.fromkeys(("SENTINEL_HOST", "SENTINEL_PORT", "SENTINEL_SERVICE"), _sentinel),
    **dict.fromkeys(("REDIS_CLUSTER_HOST", "REDIS_CLUSTER_PORT"), _cluster),
    **dict.fromkeys(("MONGODB_URI", "MONGODB_DATABASE", "MONGODB_DB_NAME"), _mongodb),
    **dict.fromkeys(("TURSO_DATABASE_URL", "TURSO_AUTH_TOKEN"), _turso),
    **dict.fromkeys(("MASTRA_TABLE", "DYNAMODB_ENDPOINT"), _dynamodb),
}
"""By variable: what sets it, and those that go with it."""
