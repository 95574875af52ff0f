"""enhance --rate film: the frames of the result are those of the film, at the film's own times."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import run_ffmpeg
from tests.support.places import STILL
from vidsr.filters.detect.inspection_text import command, sentences
from vidsr.jobs.enhance import enhance
from vidsr.jobs.inspect import inspect_file
from vidsr.jobs.verify import verify_result
from vidsr.options.enhance_options import EnhanceOptions

Ffprobe = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def transfer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """54 film pictures, 18 a second, in 75 frames at 25, with noise of the film, lossy, and with sound."""
    path = tmp_path_factory.mktemp("film") / "transfer.mkv"
    chain = "scale=640:360,crop=96:64:x='20+4*n':y='40+2*n',noise=alls=8:allf=t,fps=25:round=down"
    run_ffmpeg(
        *("-loop", "1", "-r", "18", "-t", "3", "-i", str(STILL), "-f", "lavfi", "-i", "sine=440:duration=3"),
        *("-filter_complex", f"[0:v]{chain},split[a][b]"),
        *("-map", "[a]", "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path.with_name("lossless.mkv"))),
        *(
            "-map",
            "[b]",
            "-map",
            "1:a",
            "-c:v",
            "libx264",
            "-crf",
            "22",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "flac",
            str(path),
        ),
    )
    return path


def pictures(path: Path, stream: str = "0:v") -> list[bytes]:
    """The MD5 of every decoded frame."""
    lines = run_ffmpeg("-i", str(path), "-map", stream, "-fps_mode", "passthrough", "-f", "framemd5", "-").splitlines()
    return [line.split(b",")[-1].strip() for line in lines if not line.startswith(b"#")]


@pytest.mark.long
def test_film_is_found_and_gets_its_own_times(transfer: Path, identity: Path, tmp_path: Path, ffprobe: Ffprobe) -> None:
    found, _ = inspect_file(transfer)
    assert found.cadence is not None and found.cadence.film == 18
    assert any("18 pictures a second, shown at 25" in line for line in sentences(found))
    assert "--rate film" in command("transfer.mkv", found.recommended)
    assert "dedupe" not in found.recommended.get("restore", "")

    result = enhance(
        transfer, tmp_path / "film.mkv", model=str(identity), scale=1, codec="ffv1", rate="film", segment_frames=16
    )
    assert any(note.startswith("--rate film: film=18") for note in result.notes)
    source, made = pictures(transfer), pictures(tmp_path / "film.mkv")
    places = [source.index(picture) for picture in made]
    exact = pictures(transfer.with_name("lossless.mkv"))  # there repeats are equal to the bit
    film = list(accumulate(a != b for a, b in zip([exact[0], *exact], exact, strict=False)))
    assert [film[n] for n in places] == list(range(54))
    told = ffprobe(tmp_path / "film.mkv", "-select_streams", "v:0", "-show_entries", "frame=pts_time")
    times = [float(frame["pts_time"]) for frame in told["frames"]]
    assert all(abs(time - n / 18) < 0.0011 for n, time in enumerate(times))
    assert pictures(transfer, "0:a") == pictures(tmp_path / "film.mkv", "0:a")
    lengths = [
        float(ffprobe(path, "-show_entries", "format=duration")["format"]["duration"])
        for path in (transfer, tmp_path / "film.mkv")
    ]
    assert abs(lengths[0] - lengths[1]) < 0.0021
    report = verify_result(transfer, tmp_path / "film.mkv", EnhanceOptions())
    assert report.ok and any("film=18" in check.why for check in report.checks)
