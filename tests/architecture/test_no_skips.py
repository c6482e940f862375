"""In CI a test that did not run is not taken for one that passed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT


def run_pytest(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder / "test_sample.py"), "--rootdir", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


SKIPS = {
    "marker": "import pytest\n@pytest.mark.skip(reason='no server')\ndef test_it(): pass\n",
    "call": "import pytest\ndef test_it(): pytest.skip('no server')\n",
    "fixture": "import pytest\n@pytest.fixture\ndef server(): pytest.skip('no server')\ndef test_it(server): pass\n",
    "module": "import pytest\npytest.skip('no server', allow_module_level=True)\n",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
@pytest.mark.parametrize("processes", ["0", "1"])
def test_a_skipped_test_fails_the_run_and_says_why(tmp_path: Path, source: str, processes: str) -> None:
    """CI is red when a server or a package is missing, and names it."""
    ran = run_pytest(tmp_path, source, "-p", "tests.no_skips", "-n", processes)
    assert ran.returncode != 0, ran.stdout
    assert "no server" in ran.stdout
    assert "a skipped test is a failure in CI" in ran.stdout


def test_a_test_expected_to_fail_is_left_alone(tmp_path: Path) -> None:
    """xfail is a statement about a test that ran."""
    ran = run_pytest(tmp_path, "import pytest\n@pytest.mark.xfail\ndef test_it(): assert 0\n", "-p", "tests.no_skips")
    assert ran.returncode == 0, ran.stdout
    assert "1 xfailed" in ran.stdout


def test_without_the_plugin_a_skip_is_a_skip(tmp_path: Path) -> None:
    """A developer without the servers can still run the rest."""
    ran = run_pytest(tmp_path, SKIPS["call"])
    assert ran.returncode == 0, ran.stdout
