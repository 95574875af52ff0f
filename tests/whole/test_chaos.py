"""Killed at random moments, again and again: the final file is the undisturbed one, byte for byte."""

from __future__ import annotations

import sys

import pytest

from tests.support import processes
from tests.support.places import ROOT, child_environment


@pytest.mark.slow
def test_chaos_in_short() -> None:
    """At least 12 kills over four kinds of source; the long run is `python -m benchmarks.robustness.chaos`."""
    command = [sys.executable, str(ROOT / "benchmarks" / "robustness" / "chaos.py"), "--kills", "12"]
    done = processes.run(
        [*command, "--clips", "cfr", "vfr", "open-gop", "avi", "--seed", "5"],
        capture_output=True,
        text=True,
        limit_seconds=280,
        env=child_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 kills over 4 clips" in done.stdout


@pytest.mark.slow
def test_the_matrix_of_filters_in_short() -> None:
    """Two filters of different kinds, in all columns; the whole is `python -m benchmarks.robustness.filter_matrix`."""
    pytest.importorskip("ray")
    command = [sys.executable, "-m", "benchmarks.robustness.filter_matrix", "--kills", "1", "--rows", "ivtc", "dust"]
    done = processes.run(
        command, capture_output=True, text=True, limit_seconds=280, env=child_environment(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rows, 18 cells, 0 wrong" in done.stdout
