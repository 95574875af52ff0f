"""Several parts of one video: each equal to the part made by itself, stopped and resumed, nothing else touched."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from tests.support.clips import picture, run_ffmpeg
from tests.support.spans import frame_hashes
from vidsr import Event, QueueResult, dry_run_many, enhance, enhance_many
from vidsr.cli.main import run
from vidsr.errors import InputError, Interrupted, JobError, OptionsError, OutputError
from vidsr.jobs.queue.records import queues_folder

TABLE = "from,to,name\n,0.5,begin\n1,1.75,\n40:60,,frames.mkv\n3,,end\n"
NAMES = ("begin.mkv", "film.1-1.75.x1.mkv", "frames.mkv", "end.mkv")


@pytest.fixture
def options(identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    return {"model": str(identity), "scale": 1, "segment_frames": 8, "codec": "ffv1"}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """96 frames, 4 seconds."""
    path = tmp_path / "film.mkv"
    run_ffmpeg(*picture("32x24", "24", 4), "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "parts.csv"
    path.write_text(TABLE)
    return path


def states(result: QueueResult) -> dict[str, tuple[str, str]]:
    return {file.name: (file.state, file.reason) for file in result.files}


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mkv")}


@pytest.mark.usefixtures("one_segment_at_a_time")
def test_stopped_and_resumed_every_part_is_that_of_its_own_run(
    film: Path, table: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", threading.Event()

    def in_the_second(event: Event) -> None:
        # A segment or more into the second part, which begins after 12 frames: it is left half done.
        if event.kind == "frame" and event.frames >= 12 + 9:
            stop.set()

    with pytest.raises(Interrupted, match=r"1 of 4 parts are done; to resume, run the same command again"):
        enhance_many([film], out, spans=table, progress=in_the_second, stop=stop, **options)
    made = stamps(out)
    assert "begin.mkv" in made and len(made) < 4
    events: list[Event] = []
    resumed = enhance_many([film], out, spans=table, progress=events.append, **options)
    assert 0 < max(event.resumed_frames for event in events) < 18  # of the second part
    assert states(resumed) == {name: ("done", "by an earlier run" if name in made else "") for name in NAMES}
    assert made.items() <= stamps(out).items()
    parts: list[dict[str, Any]] = [
        {"end": "0.5"}, {"start": "1", "end": "1.75"}, {"frames": "40:60"}, {"start": "3"},
    ]  # fmt: skip
    for name, part, count in zip(NAMES, parts, (12, 18, 20, 24), strict=True):
        alone = tmp_path / f"alone-{name}"
        enhance(film, alone, **options, **part)
        assert frame_hashes(out / name) == frame_hashes(alone)
        assert len(frame_hashes(alone)) == count
    before = stamps(out)
    again = enhance_many([film], out, spans=table, **options)
    assert states(again) == dict.fromkeys(NAMES, ("done", "by an earlier run"))
    assert stamps(out) == before
    assert json.loads((out / "vidsr-report.json").read_text())["counts"] == {"done": 4}
    rows = list(csv.DictReader((out / "vidsr-report.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(NAMES) and {row["state"] for row in rows} == {"done"}
    assert sorted(path.name for path in out.iterdir()) == sorted((*NAMES, "vidsr-report.csv", "vidsr-report.json"))


def test_beside_the_source(film: Path, table: Path, options: dict[str, Any], tmp_path: Path) -> None:
    table.write_text("0,0.25\n0.25,0.5\n")
    result = enhance_many([film], spans=table, **options)
    assert [Path(file.result) for file in result.files] == [
        tmp_path / "film.0-0.25.x1.mkv",
        tmp_path / "film.0.25-0.5.x1.mkv",
    ]
    assert all(path.parent != tmp_path for path in result.reports)


def test_a_part_that_fails_does_not_end_the_others(
    film: Path, table: Path, options: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An MP4 cannot hold FFV1: that one row fails."""
    table.write_text("0,0.25,a\n0.25,0.5,b.mp4\n0.5,0.75,c\n")
    arguments = ["enhance", str(film), f"{tmp_path / 'out'}/", "--spans", str(table), "--model", options["model"]]
    code = run([*arguments, "--scale", "1", "--codec", "ffv1", "--json", "-q"])
    said = json.loads(capfd.readouterr().out)
    assert code == 1
    assert {file["name"]: file["state"] for file in said["files"]} == {
        "a.mkv": "done",
        "b.mp4": "failed",
        "c.mkv": "done",
    }
    assert "ffv1" in said["files"][1]["reason"].lower()
    assert (said["ok"], said["counts"]) == (False, {"done": 2, "failed": 1})


def test_nothing_that_is_not_its_own_is_replaced(
    film: Path, table: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy2(film, out / "end.mkv")
    with pytest.raises(OutputError, match=r"parts\.csv, line 5: .*end\.mkv already exists; use --overwrite"):
        enhance_many([film], out, spans=table, **options)
    assert [path.name for path in out.iterdir()] == ["end.mkv"]
    assert not list(queues_folder().with_name("parts").iterdir())
    assert enhance_many([film], out, spans=table, overwrite=True, **options).ok
    assert len(frame_hashes(out / "end.mkv")) == 24
    with pytest.raises(JobError, match=r"line 2: begin\.mkv: .*other options: --crf|--codec"):
        enhance_many([film], out, spans=table, **(options | {"codec": "hevc"}))
    table.write_text("0,0.25,begin\n")
    with pytest.raises(JobError, match=r"line 1: begin\.mkv: .*other options"):
        enhance_many([film], out, spans=table, **options)
    assert len(frame_hashes(out / "begin.mkv")) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,a\n2,3,A.MKV", "line 2: the result A.MKV is that of line 1, too"),
        ("1,2,a\n0:01,2,b", "line 2: the same part as line 1"),
        ("1,2,a\n9,10,b", "line 2: film.mkv lasts 4; --from 9 --to 10 lies past its end"),
        ("1,9,a", "line 1: film.mkv lasts 4; --from 1 --to 9 lies past its end"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_any_work(
    text: str, message: str, film: Path, table: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    table.write_text(text)
    with pytest.raises(InputError) as caught:
        enhance_many([film], tmp_path / "out", spans=table, **options)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_contradictions(film: Path, table: Path, options: dict[str, Any], tmp_path: Path) -> None:
    spans: list[dict[str, Any]] = [{"start": "1"}, {"end": "2"}, {"duration": "1"}, {"frames": "1:2"}]
    for extra in spans:
        with pytest.raises(OptionsError, match=r"--spans and --.* contradict each other"):
            enhance_many([film], tmp_path / "out", spans=table, **options, **extra)
    with pytest.raises(OptionsError, match="2 sources are given"):
        enhance_many([film, film], tmp_path / "out", spans=table, **options)
    with pytest.raises(OptionsError, match="only videos have parts"):
        enhance_many([tmp_path], tmp_path / "out", spans=table, **options)
    with pytest.raises(OutputError, match="name a folder"):
        enhance_many([film], tmp_path / "out.mkv", spans=table, **options)
    shutil.copy2(film, tmp_path / "self.mkv")
    table.write_text("1,2,self\n")
    with pytest.raises(OutputError, match=r"line 1: .* is the source file"):
        enhance_many([tmp_path / "self.mkv"], spans=table, **options)


def test_a_dry_run_says_what_is_done_with_every_part(
    film: Path, table: Path, options: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "begin.mkv").write_text("in the way")
    with pytest.raises(OutputError, match=r"line 2: .*begin\.mkv already exists"):
        dry_run_many([film], out, spans=table, **options)
    (out / "begin.mkv").unlink()
    command = ["enhance", str(film), "-o", str(out), "--model", options["model"], "--scale", "1"]
    command += ["--codec", "ffv1", "--spans", str(table), "--dry-run", "--json", "-q"]
    assert run(command) == 0
    found = json.loads(capfd.readouterr().out)
    assert [(f["name"], f["state"], f["run"]["estimate"]["frames"]) for f in found["files"]] == [
        (name, "waiting", frames) for name, frames in zip(NAMES, (12, 18, 20, 24), strict=True)
    ]
    assert found["frames"] == 74 and f"--spans {table}" in found["command"]
    assert list(out.iterdir()) == [] and not (tmp_path / "state" / "parts").exists()


def test_sound_is_cut_at_the_sample_in_every_part(table: Path, options: dict[str, Any], tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    sound = ("-f", "lavfi", "-i", "sine=r=48000:d=2", "-c:a", "aac")
    run_ffmpeg(*picture("32x24", "24", 2), *sound, "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(film))
    table.write_text("0,0.5,a\n0.5,1,b\n")
    assert enhance_many([film], tmp_path / "out", spans=table, exact_sound=True, **options).ok
    for name in ("a.mkv", "b.mkv"):
        assert [s["codec_name"] for s in oracle.streams(tmp_path / "out" / name)] == ["ffv1", "flac"]
