"""The lock of a job lets one process in and dies with its owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vidsr.errors import JobError
from vidsr.jobs.state.lock import JobLock, is_locked, lock_owner

HOLD = """
import sys
from pathlib import Path
from vidsr.jobs.state.lock import JobLock
with JobLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_second_process_is_refused_and_sigkill_frees(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(tmp_path)
        owner = lock_owner(tmp_path)
        assert owner is not None and owner[0] == holder.pid
        with pytest.raises(JobError, match=f"another vidsr .process {holder.pid}"), JobLock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not is_locked(tmp_path)
    with JobLock(tmp_path):
        assert is_locked(tmp_path)
        assert lock_owner(tmp_path) == (os.getpid(), os.uname().nodename)
    assert not is_locked(tmp_path)


def test_looking_does_not_create(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "nowhere")
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_removed_by_its_owner_can_be_locked_again(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    with JobLock(folder):
        shutil.rmtree(folder)
        with JobLock(folder):
            assert is_locked(folder)
