"""The lock of a job lets one process in and dies with its owner."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

import vidsr
from tests.support import processes
from tests.support.clips import ClipFactory
from vidsr.errors import JobError
from vidsr.jobs.state import job_folders
from vidsr.jobs.state import lock as lock_module
from vidsr.jobs.state.lock import JobLock, is_locked, lock_owner

HOLD = """
import sys
import threading
import types
from pathlib import Path
from vidsr.jobs.state.lock import JobLock
with JobLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_second_process_is_refused_and_sigkill_frees(tmp_path: Path) -> None:
    with processes.started(
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
        holder.wait(processes.LIMIT_SECONDS)
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


def test_a_folder_removed_between_opening_and_locking_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may end its job in that moment: a lock on a file that is gone would hold nobody off."""
    folder, take = tmp_path / "job", lock_module._take

    def late(*args: Any, **options: Any) -> None:
        if not removed:
            removed.append(folder)
            shutil.rmtree(folder)
        take(*args, **options)

    removed: list[Path] = []
    monkeypatch.setattr(lock_module, "_take", late)
    with JobLock(folder):
        assert removed and is_locked(folder)


def test_many_may_look_at_once(tmp_path: Path) -> None:
    """Whoever only looks must never take another one that looks for the owner."""
    with JobLock(tmp_path):
        pass
    seen: list[bool] = []

    def look() -> None:
        seen.extend(is_locked(tmp_path) for _ in range(300))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        processes.join(thread)
    assert seen == [False] * 2400


def windows_lock(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module as Windows loads it: without fcntl, with an msvcrt that locks whole files for as long as they are
    open, which is what matters here, and that minds where in the file it is asked to."""
    fake = types.ModuleType("msvcrt")

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) >= 1 << 20, "the owner's name would be locked, and unreadable"
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    fake.locking, fake.LK_NBLCK = locking, 2  # type: ignore[attr-defined]
    spec = importlib.util.find_spec("vidsr.jobs.state.lock")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "msvcrt", fake)
        patch.setitem(sys.modules, "fcntl", None)
        spec.loader.exec_module(module)
    return module


def test_the_lock_works_as_well_without_fcntl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = windows_lock(monkeypatch)
    assert not lock.is_locked(tmp_path)
    with lock.JobLock(tmp_path):
        assert lock.is_locked(tmp_path)
        assert lock.lock_owner(tmp_path) == (os.getpid(), os.uname().nodename)
        with pytest.raises(JobError, match="another vidsr"), lock.JobLock(tmp_path):
            pass
    assert not lock.is_locked(tmp_path)


def test_the_web_app_starts_without_fcntl() -> None:
    program = "import sys, types, subprocess, asyncio, uvicorn, torch; sys.modules['fcntl'] = None; "
    program += "m = types.ModuleType('msvcrt'); "
    program += "m.LK_NBLCK, m.locking = 2, None; sys.modules['msvcrt'] = m; import vidsr.web.app, vidsr.web.run_process"
    done = processes.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr


def test_a_job_ends_clean_where_open_files_cannot_be_deleted(
    clips: ClipFactory, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: the emptied folder keeps its lock until that is released, and goes with it."""
    unlink = Path.unlink

    def stays_while_locked(path: Path, missing_ok: bool = False) -> None:
        if path.name == lock_module.LOCK_NAME and is_locked(path.parent):
            raise PermissionError(13, "The process cannot access the file", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stays_while_locked)
    for module in (lock_module, job_folders):
        monkeypatch.setattr(module, "OPEN_FILES_STAY", True)
    vidsr.enhance(clips("basic"), tmp_path / "out.mkv", model=str(identity), scale=1)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mkv"]
    with JobLock(tmp_path / "kept"):
        (tmp_path / "kept" / "mine.txt").write_text("mine")
    assert (tmp_path / "kept" / "mine.txt").exists()
