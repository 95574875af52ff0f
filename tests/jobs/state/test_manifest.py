"""The manifest comes back as it was written, names what changed, and trusts no file unseen."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import processes
from tests.support.manifests import binding, manifest
from vidsr.errors import DiskFullError, JobError
from vidsr.jobs.state.manifest import MANIFEST_NAME, Finished, Manifest, SourceIdentity
from vidsr.jobs.state.segments import plan_segments
from vidsr.storage import digest, human_bytes, human_seconds, sampled_digest, write_atomically


@given(st.integers(1, 5000), st.integers(8, 512), st.data())
def test_round_trip(frames: int, length: int, data: st.DataObject) -> None:
    import tempfile

    plan = plan_segments(frames, length)
    done = data.draw(st.sets(st.sampled_from(range(len(plan)))))
    finished = {n: Finished(frames=plan[n].frames, size=n, blake2="ff", seconds=0.5) for n in done}
    written = manifest(frames, length, finished)
    with tempfile.TemporaryDirectory() as name:
        written.save(Path(name))
        read = Manifest.load(Path(name))
    assert read == written
    assert {s.number for s in read.missing()} == set(range(len(plan))) - done
    assert read.frames_done() + sum(s.frames for s in read.missing()) == frames


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (
            {"source": SourceIdentity(name="clip.mp4", size=999, mtime_ns=10**18, sample="ab")},
            "source clip.mp4 (was 1000",
        ),
        ({"source": SourceIdentity(name="clip.mp4", size=1000, mtime_ns=10**18, sample="cd")}, "other content"),
        ({"source": SourceIdentity(name="clip.mp4", size=1000, mtime_ns=1, sample="ab")}, "modified at another time"),
        ({"options": {"encode.crf": 20.0, "model.tile": None}}, "--crf (was 18, is 20)"),
        ({"options": {"encode.crf": 18.0, "model.tile": 64}}, "--tile (was not given, is 64)"),
        ({"model_sha256": "1" * 64}, "the weights of net"),
        ({"encoder": "libx264 170"}, "the encoder (was libx264 165, is libx264 170)"),
        ({"vidsr": "1.1"}, "vidsr itself"),
    ],
)
def test_a_change_is_named(change: dict[str, object], word: str) -> None:
    found = binding().changes(binding(**change))
    assert len(found) == 1
    assert word in found[0]


def test_a_source_under_another_name_is_the_same_source() -> None:
    moved = SourceIdentity(name="moved.mp4", size=1000, mtime_ns=10**18, sample="ab")
    assert binding().changes(binding(source=moved)) == []


def test_damage_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="not a job folder"):
        Manifest.load(tmp_path)
    manifest().save(tmp_path)
    path = tmp_path / MANIFEST_NAME
    whole = path.read_text()
    for text, words in (
        (whole[:-40], "--restart"),
        ("[]", "schema version None"),
        (whole.replace('"schema": 1', '"schema": 2'), "schema version 2"),
        (whole.replace('"frames"', '"frmaes"'), "damaged"),
        (
            json.dumps({**json.loads(whole), "finished": {"99": {"frames": 1, "size": 1, "blake2": "", "seconds": 1}}}),
            "plan",
        ),
        (
            json.dumps({**json.loads(whole), "finished": {"0": {"frames": 1, "size": 1, "blake2": "", "seconds": 1}}}),
            "planned",
        ),
    ):
        path.write_text(text)
        with pytest.raises(JobError, match=words):
            Manifest.load(tmp_path)


def test_finished_segments_are_checked_before_they_are_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    plan = plan_segments(100, 30)
    finished = {}
    for segment in plan:
        path = folder / segment.file_name
        path.write_bytes(bytes([segment.number]) * 50)
        finished[segment.number] = Finished(frames=segment.frames, size=50, blake2=digest(path), seconds=1)
    state = manifest(100, 30, finished)
    assert state.check_files(tmp_path) == []
    (folder / plan[1].file_name).unlink()
    (folder / plan[2].file_name).write_bytes(b"\x02" * 49 + b"\x03")
    (folder / plan[3].file_name).write_bytes(b"\x03" * 49)
    assert state.check_files(tmp_path) == [1, 2, 3]
    assert [s.number for s in state.missing()] == [1, 2, 3]


def test_sampled_digest_sees_both_ends_and_the_length(tmp_path: Path) -> None:
    path = tmp_path / "big"
    original = bytes(range(256)) * 20_000  # 5 MB: sampled
    path.write_bytes(original)
    before = sampled_digest(path)
    for changed in (b"x" + original[1:], original[:-1] + b"x", original + b"\x00", original[:-1]):
        path.write_bytes(changed)
        assert sampled_digest(path) != before
    small = tmp_path / "small"  # read whole
    small.write_bytes(b"a" * 1000)
    one = sampled_digest(small)
    small.write_bytes(b"a" * 500 + b"b" + b"a" * 499)
    assert sampled_digest(small) != one


def test_a_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.json"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no space left while writing"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]


WRITER = """
import sys
from pathlib import Path
from vidsr.jobs.state.manifest import Manifest
folder = Path(sys.argv[1])
state = Manifest.load(folder)
print("ready", flush=True)
while True:
    state.frames += 1
    state.error = "x" * 200_000
    state.save(folder)
"""


@pytest.mark.long
def test_kill_during_the_manifest_write(tmp_path: Path) -> None:
    """SIGKILL at 12 moments of a process that does nothing but save: what is there loads, every time."""
    manifest(frames=5000).save(tmp_path)
    before = 5000
    for kill in range(12):
        with processes.started([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.013 * kill)
            writer.send_signal(signal.SIGKILL)
            writer.wait(processes.LIMIT_SECONDS)
        now = Manifest.load(tmp_path).frames
        assert now >= before
        before = now
    assert before > 5000


def test_a_file_system_that_cannot_sync_folders_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_numbers_for_people() -> None:
    assert [human_bytes(n) for n in (0, 999, 1_400_000_000, 3.2e12)] == ["0 B", "999 B", "1.4 GB", "3.2 TB"]
    assert [human_seconds(n) for n in (45, 754, 11045, 183_845)] == ["45 s", "12:34", "3:04:05", "2 d 03:04"]
