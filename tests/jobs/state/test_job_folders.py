"""Job folders are found again; speed and disk estimates say what they should; the reader is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import ClipFactory, picture
from tests.support.manifests import manifest
from vidsr.errors import DiskFullError, JobError
from vidsr.jobs.disk_space import disk_outlook, estimate_bytes
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.event_log import Journal, Status, read_status
from vidsr.jobs.state.events import Event, SpeedMeter
from vidsr.jobs.state.manifest import Finished
from vidsr.media.decode import SequentialReader, read_frames
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo
from vidsr.options.enhance_options import EnhanceOptions


def job_at(output: Path) -> Path:
    folder = job_folders.job_folder(output)
    folder.mkdir(parents=True)
    state = manifest()
    state.output = str(output)
    state.save(folder)
    job_folders.remember(folder)
    return folder


def test_a_job_is_found_by_id_folder_and_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    one, two = job_at(tmp_path / "a" / "one.mkv"), job_at(tmp_path / "b" / "two.mkv")
    assert set(job_folders.known_folders()) == {one, two}
    assert job_folders.find(job_folders.job_id(one)) == one
    assert job_folders.find(str(two)) == two
    assert job_folders.find(str(tmp_path / "b" / "two.mkv")) == two
    with pytest.raises(JobError, match="more than one job"):
        job_folders.find("")
    with pytest.raises(JobError, match="there is no job zzz"):
        job_folders.find("zzz")
    job_folders.remove(one)
    assert not one.exists()
    assert list(job_folders.known_folders()) == [two]


def test_the_register_forgets_what_was_deleted_and_survives_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    assert list(job_folders.known_folders()) == []
    folder = job_at(tmp_path / "one.mkv")
    (tmp_path / "state" / "jobs" / "rubbish.json").write_text("{")
    (folder / "manifest.json").unlink()
    assert list(job_folders.known_folders()) == []
    assert [p.name for p in (tmp_path / "state" / "jobs").iterdir()] == ["rubbish.json"]


def test_speed_is_of_this_run_and_of_the_last_minute() -> None:
    now = 0.0
    meter = SpeedMeter(1000, assumed=4.0, clock=lambda: now)
    assert meter.fps() == 4.0
    assert meter.seconds_left(80) == 20.0
    now = 5.0
    meter.update(1010)
    assert meter.fps() == 4.0, "what passed until the first frame came was start-up"
    now = 10.0
    meter.update(1020)
    assert meter.fps() == pytest.approx(2.0)
    for second in range(11, 211):
        now = float(second)
        meter.update(1020 + 5 * (second - 10))
    assert meter.fps() == pytest.approx(5.0)
    assert meter.seconds_left(50) == pytest.approx(10.0)
    now = 215.0
    meter.update(1000)  # a worker's segment was lost
    assert meter.fps() == 4.0
    assert SpeedMeter(0).fps() is None
    assert SpeedMeter(0).seconds_left(5) is None


def test_disk_estimate_goes_by_what_segments_took(clips: ClipFactory, tmp_path: Path) -> None:
    settings = prepare(ShapedInfo(probe(clips("basic"))), EnhanceOptions.from_flat({"codec": "h264"}), 4).settings
    assert settings.width == 256
    assert estimate_bytes(settings, 100) == round(100 * 256 * 192 * 0.25 / 8)
    state = manifest(100, 50, {0: Finished(frames=50, size=5000, blake2="", seconds=1)})
    assert estimate_bytes(settings, 100, state) == 10_000
    outlook = disk_outlook(tmp_path, settings, state)
    assert str(outlook).startswith("disk: about 15 kB needed until the end, 10 kB for the result; ")
    assert not outlook.worrying
    outlook.check()
    state.finished[0] = Finished(frames=50, size=10**18, blake2="", seconds=1)
    outlook = disk_outlook(tmp_path, settings, state)
    assert outlook.worrying
    with pytest.raises(DiskFullError, match="too little space"):
        outlook.check()


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"], ids=["linear", "by seeking"])
def test_the_sequential_reader_gives_the_same_frames_in_any_order(name: str, clips: ClipFactory) -> None:
    source = clips.make(name, *picture(), "-c:v", "mpeg4", "-bf", "2", "-g", "12")
    info = probe(source)
    index = index_video(info)
    assert index.linear == (name == "a.avi")
    everything = [tuple(np.array(p) for p in f.planes) for f in read_frames(info, 0, None, index)]
    reader = SequentialReader(info, index, keep=3)
    for first, stop in ((0, 5), (5, 9), (7, 12), (12, 12), (15, 24), (2, 4), (4, 6)):
        frames = list(reader.read(first, stop))
        assert [f.index for f in frames] == list(range(first, stop))
        for frame in frames:
            for mine, right in zip(frame.planes, everything[frame.index], strict=True):
                assert np.array_equal(mine, right)


def test_status_and_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert read_status(tmp_path) is None
    journal.status(Status(stage="segments", frames=5, total_frames=9, fps=2.0), now=True)
    journal.status(Status(stage="segments", frames=6, total_frames=9))
    status = read_status(tmp_path)
    assert status is not None and (status.frames, status.fps) == (5, 2.0), "not twice within a second"
    journal.log("one\ntwo")
    assert (tmp_path / "job.log").read_text().endswith(" one two\n")
    Journal(tmp_path / "gone").log("nobody is stopped by a log that cannot be written")


def test_events_as_json() -> None:
    event = Event(kind="frame", job="j", frames=3, total_frames=9, resumed_frames=1, fps=1.23456, seconds_left=4.56)
    assert event.to_json() == {
        "event": "frame",
        "job": "j",
        "frames": 3,
        "total_frames": 9,
        "resumed_frames": 1,
        "fps": 1.235,
        "seconds_left": 4.6,
    }
    assert json.dumps(Event(kind="note", text="t").to_json()) == '{"event": "note", "job": "", "text": "t"}'


def test_a_removal_cut_short_leaves_a_job_to_remove(tmp_path: Path) -> None:
    folder = job_at(tmp_path / "one.mkv")
    (folder / "segments").mkdir()
    (folder / "segments" / "000000.nut").write_bytes(b"x")
    names = []
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        names.append(path.name)
        real(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        job_folders.empty(folder)
    assert names == ["manifest.json"]
    assert not folder.exists()
