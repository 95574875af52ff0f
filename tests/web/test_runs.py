"""Runs of the web app: what is asked of them while their worker starts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import pytest

from vidsr.errors import JobError
from vidsr.web.run_process import run as execute
from vidsr.web.runs import Run, RunOrder, Runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    made = Runs(tmp_path / "state")
    made.close()  # nothing starts by itself
    return made


def starting(runs: Runs, tmp_path: Path) -> Run:
    """A job whose process has been started and has not got as far as its lock."""
    run = runs.submit(RunOrder(source=str(tmp_path / "clip.mkv"), output=None, options={}))
    (run.folder / "started").touch()
    soon = time.time() + 60
    os.utime(run.folder / "started", (soon, soon))  # however slow this machine is
    assert run.state() == "running" and run.worker() is None
    return run


@pytest.mark.parametrize("wish", ["paused", "cancelled"])
def test_a_job_that_is_only_starting_can_be_stopped(
    runs: Runs, tmp_path: Path, wish: Literal["paused", "cancelled"]
) -> None:
    run = starting(runs, tmp_path)
    {"paused": runs.pause, "cancelled": runs.cancel}[wish](run)
    assert execute(run.folder) == 1
    assert run.state() == wish
    assert run.events()[0] == [], "it has not begun"
    runs.resume(run)
    assert run.state() == "queued"


def test_what_does_not_run_cannot_be_paused(runs: Runs, tmp_path: Path) -> None:
    run = runs.submit(RunOrder(source=str(tmp_path / "clip.mkv"), output=None, options={}))
    with pytest.raises(JobError, match="queued"):
        runs.pause(run)
