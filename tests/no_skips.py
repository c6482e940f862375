"""A pytest plugin that turns every skipped test into a failed one: `-p tests.no_skips`.

Loaded by the Makefile when CI is set, where everything a test could miss has been installed, so that a test which did not run
is not taken for one that passed. It knows pytest's reports and nothing of the tests. A test that is expected to fail (xfail)
is reported by pytest as skipped too; it did run, and is left alone.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

_MEND = "a skipped test is a failure in CI; install what it misses (make setup servers), or deselect it by a marker"


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    where, line, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.nodeid, "?", str(report.longrepr))
    report.outcome = "failed"
    report.longrepr = f"{reason} ({where}:{line}): {_MEND}"


# Outermost, so that xfail has been told from skip.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail(report)
    return report
