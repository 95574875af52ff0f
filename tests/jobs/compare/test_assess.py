"""``compare --no-reference`` on real files, CAMBI and VMAF-NEG against ffmpeg's own."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.support import processes
from tests.support.places import SAMPLE
from vidsr.errors import InputError, OptionsError
from vidsr.jobs.compare.assess import assess
from vidsr.jobs.compare.compare import CompareSettings
from vidsr.quality.comparison_page import page
from vidsr.quality.no_reference.assessment import ASSESSED, NO_REFERENCE

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
MakeClip = Callable[..., Path]
LOSSLESS = ("-an", "-frames:v", "6", "-c:v", "ffv1", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="module")
def small(make_clip: MakeClip) -> Path:
    return make_clip("assessed-source.mkv", "-i", str(SAMPLE), "-vf", "crop=80:48", *LOSSLESS)


@pytest.fixture(scope="module")
def large(make_clip: MakeClip, small: Path) -> Path:
    return make_clip("assessed-large.mkv", "-i", str(small), "-vf", "scale=320:192:flags=bicubic", *LOSSLESS)


@pytest.fixture(scope="module")
def noisy(make_clip: MakeClip, large: Path) -> Path:
    return make_clip("assessed-noisy.mkv", "-i", str(large), "-vf", "noise=alls=20:allf=t", *LOSSLESS)


def take(*measures: str, **more: object) -> CompareSettings:
    return CompareSettings(measures=measures or None, device="cpu", **more)  # type: ignore[arg-type]


def directly(other: Path, reference: Path, options: str, metric: str, folder: Path) -> list[float]:
    graph = f"[0:v][1:v]libvmaf=log_fmt=json:log_path=log:{options}"
    processes.run(
        [FFMPEG, "-v", "error", "-i", other, "-i", reference, "-lavfi", graph, "-f", "null", "-"],
        check=True,
        cwd=folder,
    )
    return [f["metrics"][metric] for f in json.loads((folder / "log").read_text())["frames"]]


def test_cambi_and_vmaf_neg_equal_ffmpeg(large: Path, noisy: Path, tmp_path: Path) -> None:
    found = assess([noisy], large, take("cambi", "vmaf_neg")).videos[0].measured.values
    cambi = directly(noisy, large, "feature=name=cambi", "cambi", tmp_path)
    assert found["cambi"] == pytest.approx(cambi, abs=1e-5) and len(cambi) == 6
    neg = directly(noisy, large, "model=version=vmaf_v0.6.1neg", "vmaf", tmp_path)
    assert found["vmaf_neg"] == pytest.approx(neg, abs=1e-5) and max(neg) < 99


def test_what_noise_does(small: Path, large: Path, noisy: Path) -> None:
    result = assess([noisy, large], small, take())
    bad, good = (video.measured.means() for video in result.videos)
    assert set(good) == set(ASSESSED) == set(bad), "nothing is left out at this size"
    assert bad["consistency"] < good["consistency"] > 35
    assert bad["vmaf_neg"] < good["vmaf_neg"]
    assert bad["flicker"] > good["flicker"] + 1 and bad["flicker_gained"] > good["flicker_gained"]
    assert good["sharpness_gained"] == pytest.approx(1, abs=0.05) and bad["sharpness_gained"] > 1.2
    assert result.videos[0].measured.values["flicker"][0] is None, "the first frame has no predecessor"
    figures = result.to_json()
    assert figures["source"]["width"] == 80 and figures["results"][1]["niqe"] == good["niqe"]
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert len(rows) == 12 and rows[0]["flicker"] == "" and float(rows[1]["niqe"]) > 0
    html = page(figures, [v.measured.worst for v in result.videos], ASSESSED)
    assert len(re.findall("data:image/jpeg", html)) == 2 * 2 * 4, "four moments of each, before and after"


def test_without_a_source(large: Path, noisy: Path) -> None:
    result = assess([large, noisy], None, take(limit=3))
    assert result.source is None and not result.videos[0].measured.worst
    assert set(result.videos[0].measured.means()) == set(NO_REFERENCE)
    assert len(result.videos[1].measured.seconds) == 3
    steady, unsteady = (video.measured.means()["flicker"] for video in result.videos)
    assert unsteady > steady + 5


def test_refusals(large: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="name at least one video"):
        assess([])
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(InputError):
        assess([tmp_path / "no.mp4"])
