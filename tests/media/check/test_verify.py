"""``vidsr verify`` must see what is wrong: results spoilt on purpose, by ffmpeg or by hand."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import ClipFactory, run_ffmpeg
from tests.support.command_line import vidsr
from tests.support.hazards.catalogue import by_name
from vidsr.jobs.enhance import enhance
from vidsr.media.check.verify import Expectation, largest_error, verify
from vidsr.options.enhance_options import EnhanceOptions


@pytest.fixture(scope="module")
def rich(clips: ClipFactory, identity: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source with streams of all kinds and its result."""
    source = by_name("rich-mkv").make(clips)
    output = tmp_path_factory.mktemp("rich") / "rich.mkv"
    enhance(source, output, model=str(identity), scale=1, preset="ultrafast")
    return source, output


def differing(source: Path, result: Path, **options: Any) -> set[str]:
    known = Expectation(options=EnhanceOptions.from_flat(options))
    return {check.name for check in verify(source, result, known).differences}


def test_a_good_result_has_no_differences(rich: tuple[Path, Path]) -> None:
    report = verify(*rich)
    assert report.ok, report.table()
    names = {check.name for check in report.checks}
    assert {"frames", "timestamps", "chapters", "attachments", "tag title", "matrix"} <= names


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (("-map", "0", "-map", "-0:a:0"), "audio stream 1 (aac): bytes"),
        (("-map", "0", "-map", "-0:s:1"), "subtitle stream 4 (ass)"),
        (("-map", "0", "-map", "-0:t"), "attachments"),
        (("-map", "0", "-map_chapters", "-1"), "chapters"),
        (("-map", "0", "-metadata", "title=Other"), "tag title"),
        (("-map", "0", "-metadata:s:a:0", "language=fre"), "audio stream 1 (aac): language"),
        (("-map", "0", "-disposition:s:0", "0"), "subtitle stream 3 (subrip): disposition"),
        (("-map", "0", "-bsf:v", "setts=ts='if(eq(N,5),TS+20,TS)'"), "timestamps"),
        (("-map", "0", "-bsf:a:0", "setts=ts=TS+300"), "audio stream 1 (aac): start"),
        (("-map", "0", "-bsf:v:0", "h264_metadata=matrix_coefficients=1"), "matrix"),
        (("-map", "0", "-aspect", "2"), "display shape"),
        (("-map", "0", "-t", "0.5"), "frames"),
    ],
)
def test_what_ffmpeg_spoils_is_seen(
    rich: tuple[Path, Path], arguments: tuple[str, ...], seen: str, tmp_path: Path
) -> None:
    source, result = rich
    spoilt = tmp_path / "spoilt.mkv"
    run_ffmpeg("-i", str(result), *arguments, "-c", "copy", str(spoilt))
    assert seen in differing(source, spoilt)


def test_damage_in_the_picture_is_seen(rich: tuple[Path, Path], tmp_path: Path) -> None:
    source, result = rich
    data = bytearray(result.read_bytes())
    for at in range(len(data) // 3, len(data) * 9 // 10, 97):
        data[at] ^= 0xFF
    spoilt = tmp_path / "spoilt.mkv"
    spoilt.write_bytes(data)
    assert differing(source, spoilt)


def test_hdr_that_was_lost_is_seen(clips: ClipFactory, tmp_path: Path) -> None:
    source = by_name("hdr10").make(clips)
    lost = tmp_path / "lost.mkv"
    run_ffmpeg("-i", str(source), "-c:v", "libx264", "-vf", "sidedata=delete", "-pix_fmt", "yuv420p10le", str(lost))
    assert {"mastering display", "content light level"} <= differing(source, lost)


def test_a_lone_verification_knows_what_enhance_announces(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    full, alpha = by_name("tag-709-full").make(clips), by_name("alpha-ffv1").make(clips)
    enhance(full, tmp_path / "full.mov", model=str(identity), scale=1, codec="prores")
    enhance(alpha, tmp_path / "flat.mkv", model=str(identity), scale=1, flatten="black", preset="ultrafast")
    for source, result, name in ((full, "full.mov", "range"), (alpha, "flat.mkv", "alpha")):
        report = verify(source, tmp_path / result)
        assert report.ok, report.table()
        assert [c.state for c in report.checks if c.name == name] == ["announced"]


def test_streams_that_were_left_out_by_wish_are_announced(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source, output = clips("basic"), tmp_path / "silent.mkv"
    enhance(source, output, model=str(identity), scale=1, audio=False)
    assert not differing(source, output, audio=False)
    assert "audio stream 1 (aac)" in differing(source, output)


def test_the_command_prints_json_and_exits_with_1_on_a_difference(clips: ClipFactory, tmp_path: Path) -> None:
    source, silent = clips("basic"), tmp_path / "silent.mp4"
    run_ffmpeg("-i", str(source), "-an", "-c", "copy", str(silent))
    done = vidsr("verify", source, silent, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert {"name": "frames", "state": "same", "source": "24", "result": "24", "why": ""} in report["checks"]
    assert "Traceback" not in done.stderr
    done = vidsr("verify", source, silent, "--no-audio")
    assert done.returncode == 0
    assert "left out" in done.stdout


@given(
    stamps=st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40)), max_size=5),
    clocks=st.tuples(*[st.fractions(Fraction(1, 10**9), 1, max_denominator=10**9)] * 2),
    shift=st.fractions(-5, 5, max_denominator=10**6),
)
def test_the_largest_error_is_exact(
    stamps: list[tuple[int, int]], clocks: tuple[Fraction, Fraction], shift: Fraction
) -> None:
    have, want = [h for h, _ in stamps], [w for _, w in stamps]
    errors = [abs(h * clocks[0] - shift - w * clocks[1]) for h, w in stamps]
    assert largest_error(have, clocks[0], want, clocks[1], shift) == max(errors, default=0)
