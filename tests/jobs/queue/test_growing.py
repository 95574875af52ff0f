"""Files that are still being written are distinguished from complete ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import started
from vidsr.jobs.queue.growing import Settling, open_for_writing


def test_a_file_settles_when_size_and_time_have_been_the_same_for_long_enough(tmp_path: Path) -> None:
    now = 1_000_000.0
    settling = Settling(5.0, clock=lambda: now)
    path = tmp_path / "a.mpg"

    def write(data: bytes, seconds: float) -> None:
        path.write_bytes(data)
        os.utime(path, (seconds, seconds))

    write(b"abc", now - 4)
    assert settling.settled([path]) == set()
    now += 1.5
    assert settling.settled([path]) == {path}, "its own time of change counts"
    write(b"abcd", now - 100)  # grown, and its clock set back
    assert settling.settled([path]) == set()
    now += 4.9
    assert settling.settled([path]) == set()
    now += 0.2
    assert settling.settled([path]) == {path}
    write(b"abcd", now + 3600)  # touched, with a time in the future
    assert settling.settled([path]) == set()
    now += 5.1
    assert settling.settled([path]) == {path}
    path.unlink()
    assert settling.settled([path]) == set()
    old = tmp_path / "old.mpg"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert settling.settled([old]) == {old}


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="who has a file open is only known on Linux")
def test_a_file_that_a_process_writes_to_has_not_settled(tmp_path: Path) -> None:
    written, read = tmp_path / "written ä.mpg", tmp_path / "read.mpg"
    for path in (written, read):
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
    code = "import sys; a = open(sys.argv[1], 'ab'); b = open(sys.argv[2], 'rb'); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(written), str(read)]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        assert open_for_writing([written, read, tmp_path / "none"]) == {written}
        assert Settling(1.0).settled([written, read]) == {read}
        other.communicate("\n")
    assert Settling(1.0).settled([written, read]) == {written, read}
