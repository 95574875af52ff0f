"""Parts of difficult videos: their frames and none else, with everything else cut to the same part."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import oracle, spans
from tests.support.clips import ClipFactory
from tests.support.spans import CLIPS, Part, counted_samples, frame_hashes, judge, packets, random_part, take
from vidsr import EnhanceOptions, OptionsError, enhance, plan, preview, verify
from vidsr.cli.main import run
from vidsr.errors import InputError, Interrupted, JobError, OutputError
from vidsr.jobs.compare.compare import CompareSettings, compare
from vidsr.jobs.provenance import sidecar_of
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.index_file import load_index
from vidsr.jobs.state.manifest import Manifest

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe on this machine")

#: Random parts of each clip: two hundred and four together.
EACH = 17
QUICK = ("plain", "vfr", "open-gop", "edit-list", "late-audio", "joined")


@pytest.mark.parametrize("name", QUICK)
def test_a_random_part(name: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    clip = CLIPS[name]
    source = clip.make(clips)
    part = random_part(source, clip, random.Random(name))
    take(source, tmp_path / "part.mkv", identity, part, codec="ffv1", exact_sound=clip.exact)
    assert judge(source, tmp_path / "part.mkv", part, exact=clip.exact, times=clip.times) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CLIPS)
def test_many_random_parts(name: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    clip = CLIPS[name]
    source = clip.make(clips)
    rng = random.Random(f"many {name}")
    faults = []
    for number in range(EACH):
        part, exact = random_part(source, clip, rng), clip.exact and number % 2 == 1
        take(source, tmp_path / "part.mkv", identity, part, codec="ffv1", exact_sound=exact)
        faults += [
            f"{part}: {fault}" for fault in judge(source, tmp_path / "part.mkv", part, exact=exact, times=clip.times)
        ]
    assert faults == []


@pytest.mark.parametrize("exact", [False, True])
def test_in_mp4_sound_keeps_its_place_to_the_sample(
    exact: bool, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = CLIPS["vfr"].make(clips) if exact else CLIPS["plain"].make(clips)
    output = tmp_path / ("part.mov" if exact else "part.mp4")
    part = Part(11, 33, {"frames": "11:33"})
    codec = "prores" if exact else "h264"
    take(source, output, identity, part, codec=codec, exact_sound=exact)
    times = [spans._times(path) for path in (source, output)]
    assert [t - times[0][11] for t in times[0][11:33]] == [t - times[1][0] for t in times[1]]
    gap = times[0][11] - times[1][0]
    before, after = packets(source), packets(output)
    if exact:
        first = counted_samples(output)[0]
        assert abs(Fraction(first, spans.RATE) + before[0].time - gap - after[0].time) <= Fraction(1, spans.RATE)
        assert abs(len(counted_samples(output)) - (times[0][33] - times[0][11]) * spans.RATE) <= 1
    else:
        begin = next(n for n, p in enumerate(before) if p.hash == after[0].hash)
        moved = [b.time - gap - a.time for b, a in zip(before[begin:], after, strict=False)]
        assert max(map(abs, moved)) <= Fraction(1, spans.RATE)


def test_subtitles_chapters_attachments_and_timecode_follow(
    clips: ClipFactory, identity: Path, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    """0.75 to 2.25 s: the first line is cut in front, the third behind, and so are the chapters."""
    source, output = CLIPS["rich"].make(clips), tmp_path / "part.mkv"
    enhance(source, output, model=str(identity), scale=1, codec="ffv1", start="0.75", end="2.25", exact_sound=True)
    said = ffprobe(output, "-show_packets", "-show_chapters", "-show_streams", "-select_streams", "s:0")
    lines = [float(p[key]) for p in said["packets"] for key in ("pts_time", "duration_time")]
    assert lines == pytest.approx([0, 0.15, 0.05, 1.1, 1.25, 0.25], abs=0.0011)
    chapters = [(c["tags"]["title"], float(c["start_time"]), float(c["end_time"])) for c in said["chapters"]]
    assert chapters == [("One", 0, 0.25), ("Two", 0.25, 1.45), ("Three", 1.45, 1.5)]
    streams = oracle.streams(output)
    assert [s["codec_type"] for s in streams] == ["video", "audio", "subtitle", "attachment"]
    assert streams[0]["tags"]["TIMECODE"] == "01:00:00:18"
    report = verify(source, output)  # the result itself says which part it is
    assert report.ok, report.table()
    assert report.checks[0].result == "frames 18 to 53, 0.75 to 2.25"
    assert report.checks[0].why == "as the result itself says"


def test_a_result_of_another_part_is_found_out(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source, output = CLIPS["b-frames"].make(clips), tmp_path / "part.mkv"
    enhance(source, output, model=str(identity), scale=1, codec="ffv1", frames="10:20")
    assert verify(source, output, frames="10:20").ok
    shifted = {c.name for c in verify(source, output, frames="11:21").differences}
    assert any("audio stream" in name for name in shifted)
    assert "frames" in {c.name for c in verify(source, output, frames="10:21").differences}


def test_provenance_tells_verify_of_the_part(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source, output = CLIPS["plain"].make(clips), tmp_path / "part.mp4"
    result = enhance(source, output, model=str(identity), scale=1, start="1", duration="0.5", provenance=True)
    assert result.span is not None and (result.span.first, result.span.stop) == (24, 36)
    record = json.loads(sidecar_of(output).read_text())
    assert record["options"]["span"]["start"] == "1" and record["options"]["span"]["duration"] == "0.5"
    assert record["facts"]["span"]["first"] == 24 and record["facts"]["span"]["seconds"] == [1, 1.5]
    assert verify(source, output).ok
    sidecar_of(output).unlink()
    assert not verify(source, output).ok  # MP4 has no place for the tag


@pytest.mark.parametrize("restore", ["denoise=0.5", "deflicker", "deinterlace=tff"])
def test_filters_see_what_lies_around_the_part(
    restore: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    """The frames of a part are those of the whole result."""
    source = CLIPS["b-frames"].make(clips)
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "restore": restore, "audio": False}
    enhance(source, tmp_path / "whole.mkv", **flat, segment_frames=16)
    enhance(source, tmp_path / "part.mkv", **flat, segment_frames=7, frames="21:41")
    assert frame_hashes(tmp_path / "part.mkv") == frame_hashes(tmp_path / "whole.mkv")[21:41]


def test_doubled_fields_of_a_part(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = CLIPS["plain"].make(clips)
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "restore": "deinterlace=tff"}
    enhance(source, tmp_path / "whole.mkv", **flat, fields="double")
    enhance(source, tmp_path / "part.mkv", **flat, fields="double", frames="30:41")
    assert frame_hashes(tmp_path / "part.mkv") == frame_hashes(tmp_path / "whole.mkv")[60:82]
    assert verify(source, tmp_path / "part.mkv").ok


def test_repeats_that_were_left_out_do_not_leave_a_gap(
    make_clip: Callable[..., Path], identity: Path, tmp_path: Path
) -> None:
    """Twelve frames, each shown five times; the part begins in the middle of one."""
    source = make_clip("slow.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=4", "-r", "25", "-c:v", "ffv1")
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "restore": "dedupe"}
    result = enhance(source, tmp_path / "part.mkv", **flat, frames="33:52")
    times = oracle.frame_pts(tmp_path / "part.mkv")
    assert result.frames == 5 and times == pytest.approx([0, 80, 280, 480, 680], abs=1)
    hashes = frame_hashes(source)
    assert frame_hashes(tmp_path / "part.mkv") == [hashes[n] for n in (30, 35, 40, 45, 50)]
    assert verify(source, tmp_path / "part.mkv").ok


def test_a_stopped_part_goes_on_and_belongs_to_its_times(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = CLIPS["b-frames"].make(clips)
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "h264", "segment_frames": 6}
    wanted, output = tmp_path / "wanted.mkv", tmp_path / "out.mkv"
    enhance(source, wanted, **flat, start="0:00.5", end="0:01.5")
    stop = Stop()
    made: list[int] = []

    def hear(event: Event) -> None:
        if event.kind == "segment":
            made.append(event.segment or 0)
            stop.soft.set()

    with pytest.raises(Interrupted):
        enhance(source, output, **flat, start="0.5", end="1.5", progress=hear, stop=stop)
    manifest = Manifest.load(job_folders.job_folder(output))
    assert (manifest.first, manifest.frames) == (12, 24) and manifest.span is not None
    assert [(s.start, s.stop) for s in manifest.segments()] == [(12, 18), (18, 24), (24, 30), (30, 36)]
    with pytest.raises(JobError, match=r"--to \(was 1\.5, is 1\.6\)"):
        enhance(source, output, **flat, start="0.5", end="1.6")
    enhance(source, output, **flat, start="0:00.500", end="0:01.5", progress=hear)  # the same times
    assert sorted(made) == [0, 1, 2, 3]
    assert oracle.digest(output) == oracle.digest(wanted)


def test_numbered_pictures_of_a_part(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    """From a video they begin at 1, from numbered pictures they keep their numbers; --start-number says otherwise."""
    source = CLIPS["plain"].make(clips)
    flat: dict[str, Any] = {"model": str(identity), "scale": 1}

    def names(folder: str) -> list[str]:
        return sorted(p.name for p in (tmp_path / folder).glob("*.png"))

    enhance(source, tmp_path / "a" / "%04d.png", **flat, frames="20:26")
    assert names("a") == [f"{n:04d}.png" for n in range(1, 7)]
    enhance(source, tmp_path / "b" / "%04d.png", **flat, frames="20:26", start_number=120)
    assert names("b") == [f"{n:04d}.png" for n in range(120, 126)]
    enhance(tmp_path / "b" / "%04d.png", tmp_path / "c" / "%04d.png", **flat, fps="24", start="0.083")
    assert names("c") == [f"{n:04d}.png" for n in range(122, 126)]
    assert verify(source, tmp_path / "b" / "%04d.png", frames="20:26").ok
    assert not verify(source, tmp_path / "b" / "%04d.png", frames="20:27").ok
    for n in range(122, 126):
        before, after = (oracle.decoded(tmp_path / f / f"{n:04d}.png", "gbrp") for f in "bc")
        assert np.array_equal(before, after)
    with pytest.raises(OutputError, match="is the source itself"):
        enhance(tmp_path / "b" / "%04d.png", tmp_path / "b" / "%04d.png", **flat, fps="24", start="0.083")


def test_stills_have_no_parts(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    picture = clips.make("still.png", "-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "1")
    moving = clips.make("moving.gif", "-f", "lavfi", "-i", "testsrc2=s=32x32:d=1")
    folder = picture.parent
    for source, what in ((picture, "is a picture"), (folder, "is a folder of pictures"), (moving, "is a picture")):
        with pytest.raises(OptionsError, match=f"--from 1: .* {what}, only videos have parts"):
            enhance(source, model=str(identity), start="1")
    with pytest.raises(OptionsError, match="only videos have parts"):
        preview(picture, model=str(identity), start="1")
    assert sorted(p.name for p in folder.iterdir()) == ["still.png"]


def test_a_part_that_is_not_there_leaves_nothing(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = CLIPS["plain"].make(clips)
    with pytest.raises(InputError, match=r"--from 9: plain\.mp4 lasts 3"):
        enhance(source, tmp_path / "x.mkv", model=str(identity), scale=1, start="9")
    assert list(tmp_path.iterdir()) == []


def test_webm_cannot_hold_sound_cut_at_the_sample(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = CLIPS["plain"].make(clips)
    with pytest.raises(OutputError, match="webm cannot hold sound cut at the sample"):
        enhance(source, tmp_path / "x.webm", model=str(identity), scale=1, codec="vp9", start="1", exact_sound=True)


def test_plan_preview_and_compare_know_parts(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source, output = CLIPS["b-frames"].make(clips), tmp_path / "part.mkv"
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "start": "1", "end": "2"}
    enhance(source, output, **flat, codec="ffv1")
    estimate = plan(source, **flat, codec="ffv1")
    assert estimate.frames == 24 and any("frames 24 to 47, 1 to 2" in note for note in estimate.notes)
    moments = preview(source, count=3, **flat)
    assert all(1 <= m.seconds < 2 for m in moments) and len({m.seconds for m in moments}) == 3
    settings = CompareSettings(measures=("psnr",), span=EnhanceOptions.from_flat({"start": "1", "end": "2"}).span)
    for other in (output, source):
        found = compare(source, [other], settings).others[0]
        assert len(found.measured.seconds) == 24 and found.unpaired == (0, 0)
        assert found.measured.seconds[0] == 1 and (found.measured.means()["psnr"] or 0) > 90


def test_the_command_line(
    clips: ClipFactory, identity: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "clip.mp4"
    shutil.copy2(CLIPS["plain"].make(clips), source)
    base = ["enhance", str(source), "--model", str(identity), "--scale", "1", "--quiet"]
    assert run([*base, "--from", "0:01.5", "--to", "2"]) == 0
    made = Path(capfd.readouterr().out.strip())
    assert made.name == "clip.1.5-2.x1.mp4" and len(frame_hashes(made)) == 12
    assert run(["verify", str(source), str(made), "--from", "1.5", "--to", "2"]) == 0
    assert run([*base, "--frames", "9:3"]) == 2
    assert "--frames 9:3: the stop must lie after the first frame" in capfd.readouterr().err


def test_the_index_of_a_part_ends_soon_after_it(make_clip: Callable[..., Path], identity: Path, tmp_path: Path) -> None:
    """A part near the beginning of a long source is found without decoding all of it."""
    source = make_clip("many.mkv", "-f", "lavfi", "-i", "testsrc2=s=32x32:r=100:d=9", "-c:v", "mpeg4", "-q:v", "5")
    enhance(source, tmp_path / "o.mkv", model=str(identity), scale=1, codec="ffv1", frames="5:9", keep_segments=True)
    index = load_index(job_folders.job_folder(tmp_path / "o.mkv"))
    assert index.partial and len(index) == 9 + 300
