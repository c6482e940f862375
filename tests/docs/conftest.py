"""What programs of documents need besides the servers of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.docs.openai_server import openai_server
from tests.servers.redis import RedisNode

PASSWORD = "your-password"


@pytest.fixture(scope="session")
def openai_url() -> Iterator[str]:
    """The base URL of something that answers as OpenAI's API."""
    with openai_server() as url:
        yield url


@pytest.fixture
def redis_with_password_url(redis_server: object, tmp_path: Path) -> Iterator[str]:
    """A Redis server of its own that asks for a password; it starts in 50 ms."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisNode(folder) as node:
        with redis.Redis.from_url(node.url) as client:
            client.config_set("requirepass", PASSWORD)
        yield f"redis://:{PASSWORD}@127.0.0.1:{node.port}"
