"""enhance --rate: frames and times of the result, which of them were made, and that an interruption changes nothing."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import run_ffmpeg
from tests.support.places import STILL
from vidsr.cli.main import run as vidsr
from vidsr.errors import Interrupted, OptionsError
from vidsr.jobs.enhance import enhance
from vidsr.jobs.preview.estimate import estimate
from vidsr.jobs.state.events import Event
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions

Ffprobe = Callable[..., dict[str, Any]]


def moving(rate: str, frames: int, then: str = "") -> tuple[str, ...]:
    chain = "scale=320:180,crop=64:48:x='20+2*n':y='30+n'" + (f",{then}" if then else "")
    return ("-loop", "1", "-r", rate, "-i", str(STILL), "-vf", chain, "-frames:v", str(frames))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of six frames, 25 a second, with sound that begins and ends with them."""
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    picture, chain = moving("25", 12)[:6], moving("25", 12)[7]
    sound = ("-f", "lavfi", "-i", "sine=440:duration=0.48")
    graph = f"[0:v]{chain},negate=enable='gte(n,6)'[v]"
    run_ffmpeg(
        *(*picture, *sound, "-filter_complex", graph, "-map", "[v]", "-map", "1:a", "-frames:v", "12"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p", "-c:a", "flac", str(path)),
    )
    return path


def run(source: Path, output: Path, model: Path, **options: Any) -> Any:
    return enhance(source, output, **{"model": str(model), "scale": 1, "codec": "ffv1", **options})


def times(path: Path, ffprobe: Ffprobe) -> list[float]:
    told = ffprobe(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")
    return [float(frame["pts_time"]) for frame in told["frames"]]


def pictures(path: Path) -> list[bytes]:
    """The MD5 of every decoded frame."""
    lines = run_ffmpeg("-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-").splitlines()
    return [line.split(b",")[-1].strip() for line in lines if not line.startswith(b"#")]


def packets(path: Path, ffprobe: Ffprobe) -> list[tuple[str, str]]:
    told = ffprobe(path, "-select_streams", "a:0", "-show_packets", "-show_data_hash", "md5")["packets"]
    return [(packet["pts_time"], packet["data_hash"]) for packet in told]


@pytest.mark.parametrize(
    ("rate", "step", "frames"),
    [
        ("2x", Fraction(1, 50), 24),
        ("60", Fraction(1, 60), 29),
        ("24000/1001", Fraction(1001, 24000), 12),
        ("10", Fraction(1, 10), 5),
    ],
)
def test_frames_times_and_sound(
    rate: str, step: Fraction, frames: int, clip: Path, identity: Path, tmp_path: Path, ffprobe: Ffprobe
) -> None:
    result = run(clip, tmp_path / "out.mkv", identity, rate=rate).output
    assert times(result, ffprobe) == pytest.approx([float(n * step) for n in range(frames)], abs=0.0006)
    assert packets(result, ffprobe) == packets(clip, ffprobe)
    stream = ffprobe(result, "-show_streams", "-select_streams", "v:0")["streams"][0]
    assert Fraction(stream["r_frame_rate"]) == 1 / step


def test_real_frames_are_those_of_the_source_and_made_ones_are_listed(
    clip: Path, identity: Path, tmp_path: Path
) -> None:
    source = pictures(run(clip, tmp_path / "same.mkv", identity).output)
    done = run(clip, tmp_path / "twice.mkv", identity, rate="2x", provenance=True, segment_frames=7)
    twice = pictures(done.output)
    assert twice[::2] == source
    # Frame 11 would lie across the cut, and nothing follows the last frame.
    line = "--rate 2x: 10 of 24 frames were made in between; 1 would lie across a cut and repeat a neighbour"
    assert line in done.notes
    assert done.held == (11,) and done.made == ((1, 10, 2), (13, 22, 2)) and done.made_frames == 10
    assert twice[11] == source[5] and twice[23] == source[11]
    assert all(twice[n] not in source for run_ in done.made for n in range(*run_))
    record = json.loads((tmp_path / "twice.mkv.provenance.json").read_text())
    assert record["made_frames"].pop("network")["name"] == "rife-4.0"
    assert record["made_frames"] == {"frames": 10, "share": 0.4167, "runs": [[1, 10, 2], [13, 22, 2]], "held": [11]}
    assert record["options"]["restore"]["rate"] == "2x"


def test_verify_tells_made_frames_from_real_ones(clip: Path, identity: Path, tmp_path: Path) -> None:
    def verified(made: Path, *more: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            return vidsr(["verify", str(clip), str(made), *more]), out.getvalue()

    tagged = run(clip, tmp_path / "tagged.mkv", identity, rate="50").output
    code, shown = verified(tagged)
    assert code == 0 and "11 of 24: 1 to 21 in steps of 2" in shown, shown
    recorded = run(clip, tmp_path / "recorded.mov", identity, rate="50", codec="prores", provenance=True).output
    code, shown = verified(recorded)
    assert code == 0 and "10 of 24: 1 to 9 in steps of 2, 13 to 21 in steps of 2" in shown, shown
    spoilt = tmp_path / "spoilt.mkv"
    run_ffmpeg("-i", str(tagged), "-c", "copy", "-bsf:v", "setts=ts='if(eq(N,5),TS+11,TS)'", str(spoilt))
    assert verified(spoilt, "--rate", "50")[0] == 1
    record = tmp_path / "recorded.mov.provenance.json"
    told = json.loads(record.read_text())
    told["made_frames"]["runs"] = [[2, 3, 1]]
    record.write_text(json.dumps(told))
    assert "by the times 2 is a frame of the source" in verified(recorded)[1]
    record.unlink()
    assert verified(recorded)[0] == 1
    assert verified(recorded, "--rate", "50")[0] == 0


def test_a_part_begins_with_its_first_frame(clip: Path, identity: Path, tmp_path: Path, ffprobe: Ffprobe) -> None:
    source = pictures(run(clip, tmp_path / "same.mkv", identity).output)
    result = run(clip, tmp_path / "part.mkv", identity, rate="60", frames="1:5").output
    stamps = times(result, ffprobe)
    assert [time - stamps[0] for time in stamps] == pytest.approx([n / 60 for n in range(10)], abs=0.0011)
    assert pictures(result)[0] == source[1]
    assert vidsr(["verify", str(clip), str(result)]) == 0


def test_resuming_is_byte_identical(clip: Path, identity: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"rate": "60", "restore": "deflicker", "frames": "3:8", "segment_frames": 5}
    whole = run(clip, tmp_path / "whole.mkv", identity, **options).output
    stop = threading.Event()

    def listen(event: Event) -> None:
        if event.kind == "segment":
            stop.set()

    with pytest.raises(Interrupted):
        run(clip, tmp_path / "again.mkv", identity, progress=listen, stop=stop, **options)
    again = run(clip, tmp_path / "again.mkv", identity, **options)
    assert again.resumed_frames and again.output.read_bytes() == whole.read_bytes()
    longer = run(clip, tmp_path / "longer.mkv", identity, **{**options, "segment_frames": 64}).output
    assert pictures(longer) == pictures(whole)


def test_after_fields_and_film(identity: Path, tmp_path: Path, ffprobe: Ffprobe) -> None:
    """Fields become frames first, pulldown is taken out first; then the rate is changed."""
    fields, film = tmp_path / "fields.ts", tmp_path / "film.ts"
    coded = ("-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme")
    run_ffmpeg(*moving("50", 10, "tinterlace=interleave_top,setfield=tff")[:-2], "-frames:v", "5", *coded, str(fields))
    run_ffmpeg(
        *moving("24000/1001", 16, "telecine=first_field=top,setfield=tff")[:-2], "-frames:v", "20", *coded, str(film)
    )
    doubled = run(fields, tmp_path / "a.mkv", identity, restore="deinterlace=tff", fields="double", rate="100").output
    stamps = times(doubled, ffprobe)
    assert [b - stamps[0] for b in stamps] == pytest.approx([n / 100 for n in range(20)], abs=0.0011)
    rated = run(film, tmp_path / "b.mkv", identity, restore="ivtc=tff", rate="2x").output
    stamps = times(rated, ffprobe)
    assert [b - stamps[0] for b in stamps] == pytest.approx([n * 1001 / 48000 for n in range(len(stamps))], abs=0.0011)
    assert vidsr(["verify", str(film), str(rated)]) == 0


def test_a_variable_source_keeps_its_frames_or_becomes_even(identity: Path, tmp_path: Path, ffprobe: Ffprobe) -> None:
    source = tmp_path / "variable.mkv"
    uneven = "setts=ts='if(gte(N,4),TS+1,TS)'"
    run_ffmpeg(*moving("25", 8), "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-bsf:v", uneven, str(source))
    own = times(source, ffprobe)
    assert own[4] - own[3] == pytest.approx(0.08)
    twice = times(run(source, tmp_path / "twice.mkv", identity, rate="2x").output, ffprobe)
    assert twice[::2] == own and twice[7] == pytest.approx(0.16)
    even = times(run(source, tmp_path / "even.mkv", identity, rate="50").output, ffprobe)
    assert even == pytest.approx([n / 50 for n in range(18)], abs=0.0006)


def test_numbered_pictures(identity: Path, clip: Path, tmp_path: Path) -> None:
    done = run(clip, tmp_path / "out" / "%03d.png", identity, rate="2x", codec="auto", frames="0:4", segment_frames=3)
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == [f"{n:03d}.png" for n in range(1, 9)]
    assert done.made == ((1, 8, 2),)  # the frame after the part is there to look at
    again = run(tmp_path / "out" / "%03d.png", tmp_path / "back.mkv", identity, rate="25", fps="50").output
    assert len(pictures(again)) == 4


def test_a_plan_counts_the_frames(clip: Path, identity: Path) -> None:
    chosen = EnhanceOptions.from_flat({"model": str(identity), "scale": 1, "codec": "ffv1", "rate": "60"})
    found = estimate(clip, chosen, SamplingOptions(samples=1, sample_frames=2))
    assert (found.frames, found.made_frames) == (29, 24)
    line = "--rate 60: of 12 frames of 64x48, 25.000 a second, it makes 29 of 64x48, 60.000 a second; 24 of them lie in"
    assert any(line in note for note in found.notes), found.notes


def test_a_rate_of_frames_alone_is_refused() -> None:
    from vidsr.api.frame_stream import enhance_frames

    with pytest.raises(OptionsError, match="rate=2x changes the number of frames"):
        enhance_frames([], rate="2x")
