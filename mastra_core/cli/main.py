"""Where the `mastra` command starts: says what is missing, and turns errors of ours into one line and exit code 2."""

from __future__ import annotations

import sys

from mastra_core.errors import MastraError

NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line.

    Exits with 0 when done, 1 when typer or rich is not installed or what was asked for does not exist, 2 on a wrong argument or an error.
    """
    try:
        from mastra_core.cli import chat, retention, traces  # noqa: F401  # they register their commands
        from mastra_core.cli.commands import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        sys.exit(f'mastra: the command line needs {missing}, which is not installed; install it: pip install "mastra-core[cli]"')
    for stream in (sys.stdout, sys.stderr):
        # What is stored may hold characters that the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # both are TextIOWrapper in a program
    try:
        app()
    except MastraError as error:
        print(f"mastra: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
