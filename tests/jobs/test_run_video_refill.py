"""enhance --restore refill: frames that a capture lost are made again, all others and the sound stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clips import run_ffmpeg
from tests.support.places import STILL
from vidsr.filters.detect.inspection_text import sentences
from vidsr.jobs.enhance import enhance
from vidsr.jobs.inspect import inspect_file
from vidsr.jobs.verify import verify_result
from vidsr.options.enhance_options import EnhanceOptions

pytestmark = pytest.mark.long
Ffprobe = Callable[..., dict[str, Any]]
SIZE = 96, 64
#: Frames that the capture lost: by gaps in the time stamps, with a repeat in their place, and too many in a row.
GAPS, REPEATED, LONG = (20, 41, 42), 60, range(80, 88)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of a pan at 25 frames a second with sound; `whole.mkv` next to it has all frames."""
    path = tmp_path_factory.mktemp("refill") / "capture.mkv"
    lost = "+".join(f"eq(n,{n})" for n in (*GAPS, *LONG))
    pan = f"scale=640:360,crop={SIZE[0]}:{SIZE[1]}:x='20+4*n':y='40+2*n',format=yuv420p,split[whole][pan]"
    drop = f"freezeframes=first={REPEATED}:last={REPEATED}:replace={REPEATED - 1},select='not({lost})'"
    run_ffmpeg(
        *("-loop", "1", "-r", "25", "-t", "4", "-i", str(STILL), "-f", "lavfi", "-i", "sine=440:duration=4"),
        *("-filter_complex", f"[0:v]{pan};[pan]split[a][b];[b]setpts=PTS[c];[a][c]{drop}[lost]"),
        *("-map", "[whole]", "-c:v", "ffv1", str(path.with_name("whole.mkv"))),
        *("-map", "[lost]", "-map", "1:a", "-c:v", "ffv1", "-c:a", "flac", "-fps_mode", "passthrough", str(path)),
    )
    return path


def md5(path: Path, stream: str = "0:v") -> list[bytes]:
    """The MD5 of every decoded frame."""
    lines = run_ffmpeg("-i", str(path), "-map", stream, "-fps_mode", "passthrough", "-f", "framemd5", "-").splitlines()
    return [line.split(b",")[-1].strip() for line in lines if not line.startswith(b"#")]


def luma(path: Path) -> dict[int, np.ndarray[Any, Any]]:
    """The luma of every frame, by its number."""
    raw = run_ffmpeg("-i", str(path), "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    return dict(enumerate(np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0]).astype(float)))


def test_lost_frames_are_reported_and_made_again(
    capture: Path, identity: Path, tmp_path: Path, ffprobe: Ffprobe
) -> None:
    found, _ = inspect_file(capture)
    said = [(round(place.at * 25), place.count, place.by, place.long) for place in found.lost]
    assert said == [
        (20, 1, "time stamps", False),
        (41, 2, "time stamps", False),
        (60, 1, "motion", False),
        (80, 8, "time stamps", True),
    ]
    (line,) = [line for line in sentences(found) if line.startswith("lost frames")]
    assert "12 at 4 places (11 by time stamps, 1 by motion): 0:00:00.800, 0:00:01.640 (2), 0:00:02.400" in line
    assert "--restore refill makes them again; too many in a row for that: at 1 of these places" in line
    assert found.to_json()["lost"]["frames"] == 12

    options: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "restore": "refill"}
    result = enhance(capture, tmp_path / "whole.mkv", segment_frames=21, provenance=True, **options)
    shown = [n for n in range(100) if n not in LONG]  # by number on the source's grid
    assert result.frames == len(shown) and result.made_frames == 4 and not result.held
    (note,) = [note for note in result.notes if note.startswith("--restore refill")]
    assert "4 of 92 frames were made" in note and "kept: the gap after 0:00:03.160" in note

    shows = ffprobe(tmp_path / "whole.mkv", "-select_streams", "v:0", "-show_entries", "frame=pts_time")
    assert [round(float(frame["pts_time"]) * 25) for frame in shows["frames"]] == shown
    truth, made = luma(capture.with_name("whole.mkv")), luma(tmp_path / "whole.mkv")
    errors = {number: ((made[n] - truth[number]) ** 2).mean() for n, number in enumerate(shown)}
    lost = {*GAPS, REPEATED}
    assert all(errors[n] == 0 for n in shown if n not in lost)
    assert all(0 < errors[n] < 0.2 * ((truth[n] - truth[n - 1]) ** 2).mean() for n in lost)
    assert md5(capture, "0:a") == md5(tmp_path / "whole.mkv", "0:a")

    record = json.loads((tmp_path / "whole.mkv.provenance.json").read_text(encoding="utf-8"))
    numbers = [n for run in record["made_frames"]["runs"] for n in range(*run)]
    assert [shown[n] for n in numbers] == sorted(lost)
    report = verify_result(capture, tmp_path / "whole.mkv", EnhanceOptions())
    assert report.ok and any(check.name == "made frames" and "4 of 92" in check.result for check in report.checks)

    enhance(capture, tmp_path / "other.mkv", segment_frames=50, **options)
    assert md5(tmp_path / "other.mkv") == md5(tmp_path / "whole.mkv")


def test_a_part_refills_its_own_gaps_and_even_sources_stay(capture: Path, identity: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "restore": "refill"}
    part = enhance(capture, tmp_path / "part.mkv", frames="30:50", **options)
    assert part.frames == 22 and part.made == ((10, 12, 1),)
    even = enhance(capture.with_name("whole.mkv"), tmp_path / "even.mkv", **options)
    assert even.frames == 100 and even.made_frames == 0
    assert any(note.startswith("--restore refill: nothing to refill") for note in even.notes)
    assert md5(tmp_path / "even.mkv") == md5(capture.with_name("whole.mkv"))
