"""The map of invention of real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import oracle
from tests.support.places import SAMPLE
from vidsr.errors import OptionsError, OutputError
from vidsr.jobs.compare.assess import assess
from vidsr.jobs.compare.compare import CompareSettings, compare
from vidsr.jobs.compare.invention import STEPS, evidence_at, frame_evidence, map_invention
from vidsr.jobs.compare.views import Opened
from vidsr.jobs.enhance import enhance
from vidsr.jobs.invention.sampling import FrameSampling
from vidsr.jobs.state.events import Event
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.span_options import FrameNumbers, SpanOptions
from vidsr.quality.invention.evidence import KINDS
from vidsr.storage import sampled_digest

MakeClip = Callable[..., Path]
SHORT = ("-an", "-frames:v", "3", "-c:v", "ffv1", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="module")
def source(make_clip: MakeClip) -> Path:
    return make_clip("invention-source.mkv", "-i", str(SAMPLE), "-vf", "crop=48:32", *SHORT)


@pytest.fixture(scope="module")
def plain(make_clip: MakeClip, source: Path) -> Path:
    return make_clip("invention-plain.mkv", "-i", str(source), "-vf", "scale=192:128:flags=bicubic", *SHORT)


@pytest.fixture(scope="module")
def noisy(make_clip: MakeClip, plain: Path) -> Path:
    half = "crop=96:128:96:0,noise=alls=40:allf=t"
    return make_clip(
        "invention-noisy.mkv",
        "-i",
        str(plain),
        "-filter_complex",
        f"[0]split[a][b];[b]{half}[c];[a][c]overlay=96:0",
        *SHORT,
    )


def test_noise_in_one_half_is_found_there(source: Path, noisy: Path, tmp_path: Path) -> None:
    frames = list(frame_evidence(source, noisy, device="cpu"))
    assert len(frames) == 3 and frames[0].evidence[0, KINDS.index("unsteady")].max() == 0, (
        "the first frame has none before it"
    )
    for frame in frames:
        expected = frame.expected()[0, 0]
        assert expected[:, 110:].mean() > 1.5 * expected[:, :80].mean()


def test_frames_left_out_change_nothing_of_the_others(source: Path, noisy: Path) -> None:
    whole = list(frame_evidence(source, noisy, device="cpu"))
    for every, measured in ((2, 1), (3, 1), (4, 1), (9, 1)):
        (some,) = frame_evidence(source, noisy, device="cpu", every=every, written=3)
        assert some.seconds == whole[measured].seconds and (some.evidence == whole[measured].evidence).all()
    assert whole[2].evidence[0, KINDS.index("unsteady")].max() > 0 and not any(frame.cut for frame in whole)


def test_nothing_is_decoded_after_the_last_measured_frame(source: Path, noisy: Path) -> None:
    events: list[Event] = []
    (some,) = frame_evidence(source, noisy, device="cpu", every=2, written=3, progress=events.append)
    assert [(event.frames, event.total_frames) for event in events if event.kind == "frame"][-2:] == [(1, 2), (2, 2)]
    assert not some.cut


def test_times_are_computed_once_however_many_frames_there_are(
    source: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are lists as long as the video: computed for every frame, they made long films take hours."""
    calls: list[str] = []
    plain = {name: getattr(Opened, name) for name in ("seconds", "part_seconds")}

    def counted(name: str) -> Callable[[Opened], list[Fraction]]:
        def times(self: Opened) -> list[Fraction]:
            calls.append(name)
            return list(plain[name](self))

        return times

    for name in plain:
        monkeypatch.setattr(Opened, name, counted(name))
    found = {}
    for last in (1, 3):
        calls.clear()
        span = SpanOptions(frames=FrameNumbers.parse(f"0:{last}"))
        list(frame_evidence(source, noisy, device="cpu", span=span))
        compare(source, [noisy], CompareSettings(measures=("psnr",), fit="other", device="cpu", span=span))
        assess([noisy], source, CompareSettings(measures=("sharpness",), device="cpu", span=span))
        found[last] = list(calls)
    assert found[1] == found[3] and found[1]


def test_single_moments_are_measured_like_the_whole(source: Path, noisy: Path) -> None:
    whole = list(frame_evidence(source, noisy, device="cpu"))
    asked = [whole[2].seconds + 0.001, whole[0].seconds, 99.0]
    found = list(evidence_at(source, noisy, asked, device="cpu"))
    assert [frame.seconds for frame in found] == [whole[n].seconds for n in (2, 0, 2)]
    assert all((a.evidence == whole[n].evidence).all() for a, n in zip(found, (2, 0, 2), strict=True))


def test_a_cut_begins_a_shot_even_between_two_measured_frames(make_clip: MakeClip) -> None:
    cut = make_clip(
        "invention-cut.mkv",
        *("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", "-f", "lavfi", "-i", "mandelbrot=s=64x48:r=25"),
        *("-filter_complex", "[1]trim=end_frame=5[b];[0][b]concat=n=2"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p"),
    )
    for every in (1, 4):
        shots = map_invention(cut, cut, device="cpu", sampling=FrameSampling(every=every, rule="")).to_json()["shots"]
        assert [shot["frames"] for shot in shots] == ([5, 5] if every == 1 else [1, 1])


def test_the_three_kinds_of_files(source: Path, plain: Path, noisy: Path, tmp_path: Path) -> None:
    better = map_invention(source, plain, device="cpu").film()
    worse = map_invention(source, noisy, tmp_path / "map.json", device="cpu")
    assert worse.film()["expected_error"] > better["expected_error"]
    kept = json.loads((tmp_path / "map.json").read_text())
    assert kept.pop("measured") == {"every": 1, "rule": "every frame"}
    assert kept.pop("of")["result"] == {"name": noisy.name, "sampled_blake2": sampled_digest(noisy)}
    assert kept == worse.to_json() and len(kept["frames"]) == 3 and len(kept["shots"]) == 1
    map_invention(source, noisy, tmp_path / "map.png", device="cpu")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (384, 3 * 128), "each frame, and beside it the map"
        pixels = np.asarray(picture).astype(int)
    red = pixels[..., 0] - pixels[..., 2]
    assert red[:, 310:].mean() > red[:, 192:270].mean() + 5, "redder where the noise is"
    map_invention(source, noisy, tmp_path / "map.mkv", device="cpu")
    expected = [float(f.expected().mean()) for f in frame_evidence(source, noisy, device="cpu")]
    found = [float(f.planes[0].mean()) / STEPS for f in read_frames(probe(tmp_path / "map.mkv"))]
    assert found == pytest.approx(expected, rel=0.05)
    assert len(oracle.frame_pts(tmp_path / "map.mkv")) == 3


def test_refusals(source: Path, plain: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"must end in \.json"):
        map_invention(source, plain, tmp_path / "map.txt")
    with pytest.raises(OutputError, match="does not exist"):
        map_invention(source, plain, tmp_path / "nowhere" / "map.json")
    wide = make_clip("invention-wide.mkv", "-i", str(plain), "-vf", "crop=192:100", *SHORT)
    with pytest.raises(OptionsError, match="was it cropped"):
        map_invention(source, wide)
    with pytest.raises(OptionsError, match="smaller than its source"):
        map_invention(plain, source)


def test_enhance_writes_it_next_to_the_result(source: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    result = enhance(
        source,
        tmp_path / "out.mkv",
        model="realesr-animevideov3",
        device="cpu",
        invention="json",
        provenance=True,
        progress=lambda event: notes.append(event.text) if event.kind == "note" else None,
    )
    film = json.loads((tmp_path / "out.mkv.invention.json").read_text())["film"]
    record = json.loads((tmp_path / "out.mkv.provenance.json").read_text())
    assert record["facts"]["invention"] == film and 0 < film["expected_error"] < 40
    assert any("out.mkv.invention.json" in note and "supported" in note for note in notes)
    assert result.output.exists()


def test_a_result_that_cannot_be_judged_is_kept(source: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    enhance(
        source,
        tmp_path / "out.mkv",
        model="realesr-animevideov3",
        device="cpu",
        restore="crop=0:6:48:20",
        invention="json",
        progress=lambda event: notes.append(event.text) if event.kind == "note" else None,
    )
    assert (tmp_path / "out.mkv").exists() and not (tmp_path / "out.mkv.invention.json").exists()
    assert any("not measured" in note for note in notes)
