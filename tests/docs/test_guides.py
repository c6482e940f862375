"""The programs and commands of the guides work, and the links of all documents lead somewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from mastra_core.storage import LibSQLStore
from tests.docs.pages import ROOT, Section, links, sections
from tests.docs.programs import check_install, commands_of, mastra, python_of, run_all
from tests.docs.surroundings import variables_of
from tests.servers.process import ServerProcess, free_port

GUIDES = [
    section
    for name in ("concepts", "storage", "plugins", "deployment")
    for section in sections(ROOT / "docs" / f"{name}.md")
    if section.blocks
]
WEB = next(section for section in GUIDES if section.id == "deployment.md#a-web-application")
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/*.md"), *ROOT.glob("examples/**/*.md")]
)


@pytest.mark.scale
@pytest.mark.parametrize(
    "section", [section for section in GUIDES if python_of(section) and section is not WEB], ids=lambda section: section.id
)
def test_the_programs_of_a_guide_run_twice(section: Section, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What a user copies works, prints what it promises, and works again on the database it left behind."""
    program = "\n".join(block.code for block in python_of(section))
    for _ in range(2):
        run_all(section, tmp_path, environment=variables_of(program, request))


@pytest.mark.scale
def test_the_web_application_answers_remembers_and_closes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The program of docs/deployment.md, served by two workers: a conversation goes on, a stranger gets nothing, and it ends in order."""
    (block,) = python_of(WEB)
    (tmp_path / block.name).write_text(block.code, encoding="utf-8")
    log = tmp_path / "log"
    with served(tmp_path, log=log, environment=variables_of(block.code, request)) as where:
        assert asked(where, "My name is Ada", user="ada") == (200, '{"text":"Nice to meet you."}')
        for _ in range(4):
            assert asked(where, "What is my name?", user="ada") == (200, '{"text":"Your name is Ada."}')
        assert asked(f"{where}/stream", "What is my name?", user="ada") == (200, "Your name is Ada.")
        for path in (where, f"{where}/stream"):
            assert asked(path, "What is my name?", user="eve")[0] == 404
    said = log.read_text(encoding="utf-8")
    assert said.count("Application shutdown complete") == 2
    assert "Traceback" not in said


@contextlib.contextmanager
def served(folder: Path, *, log: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The URL of a thread of the application in *folder*, served as the guide says for the length of the block."""
    (command,) = [words for words in commands_of(WEB) if words[0] == "uvicorn"]
    port = free_port()
    server = ServerProcess([sys.executable, "-m", *command, "--port", str(port)], log=log, cwd=folder, environment=environment)
    try:
        server.wait_until(lambda: answers(f"http://127.0.0.1:{port}/docs"), what="uvicorn", timeout_seconds=60)
        yield f"http://127.0.0.1:{port}/threads/123"
    finally:
        server.stop(timeout_seconds=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except URLError:
        return False


def asked(url: str, text: str, *, user: str) -> tuple[int, str]:
    """The status and body for a question of *user*."""
    headers = {"Content-Type": "application/json", "X-User": user}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps({"text": text}).encode(), headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("section", [section for section in GUIDES if commands_of(section)], ids=lambda section: section.id)
async def test_the_commands_of_a_guide_work(section: Section, tmp_path: Path) -> None:
    """What is to be installed exists, and `mastra` has these commands."""
    async with LibSQLStore(url=f"file:{tmp_path}/mastra.db"):
        pass
    for command in commands_of(section):
        if command[:2] == ["pip", "install"]:
            check_install(command[2:])
        elif command[0] == "mastra":
            mastra(*command[1:], folder=tmp_path)
        else:
            assert (command[0], section) == ("uvicorn", WEB), "only the test of the web application runs something else"


def test_every_block_of_a_guide_is_tested() -> None:
    """Blocks that are no programs are commands, or parts of a file that can be read."""
    for section in GUIDES:
        for block in section.blocks:
            assert block.language in {"python", "sh", "toml"}, section.id
            if block.language == "toml":
                assert tomllib.loads(block.code)["project"]["entry-points"]["mastra"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    """A reader who follows a link finds the page, and the heading on it."""
    broken = []
    for link in links(page):
        if link.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in {section.anchor for section in sections(target)}):
            broken.append(link)
    assert not broken


def test_every_page_is_in_the_index() -> None:
    """Whoever opens docs/README.md finds every guide, and the first page leads there."""
    listed = {link.partition("#")[0] for link in links(ROOT / "docs" / "README.md")}
    guides = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert guides - listed == set()
    assert "docs/README.md" in set(links(ROOT / "README.md"))
