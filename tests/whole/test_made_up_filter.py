"""A filter is one file and one line in the table: made-up ones work in flags, video, stills and verification."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support import processes
from tests.support.clips import run_ffmpeg
from vidsr.cli.main import run as vidsr
from vidsr.errors import OptionsError
from vidsr.jobs.enhance import enhance
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.filter_choices import FILTERS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the table that each of the two filters needs."""
    monkeypatch.setitem(FILTERS, "negative", "tests.filters.made_up")
    monkeypatch.setitem(FILTERS, "halve", "tests.filters.made_up_timing")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "plain.mkv"
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.4")
    run_ffmpeg(*source, "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path))
    return path


def lumas(path: Path) -> np.ndarray[Any, Any]:
    raw = run_ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-vf", "extractplanes=y", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, 48, 64).astype(float)


def plain(model: Path, **options: Any) -> dict[str, Any]:
    """Options with which nothing but the filters changes the picture."""
    return {"model": str(model), "scale": 1, "codec": "ffv1", "strength": 0.0, "fidelity": "0", **options}


def test_it_changes_the_frames_of_a_video(clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    kept = enhance(clip, tmp_path / "kept.mkv", **plain(tiny_model)).output
    turned = enhance(clip, tmp_path / "turned.mkv", **plain(tiny_model, restore="negative=0.5,grey")).output
    assert np.abs(lumas(kept) - lumas(clip)).max() <= 3
    assert np.abs(lumas(turned) - 127.5).max() <= 3


def test_it_changes_the_times_and_the_result_verifies(
    clip: Path, tiny_model: Path, tmp_path: Path, ffprobe: Callable[..., dict[str, Any]]
) -> None:
    result = enhance(clip, tmp_path / "half.mkv", **plain(tiny_model, restore="negative=0.5,halve")).output
    frames = ffprobe(result, "-select_streams", "v:0", "-show_entries", "frame=pts_time")["frames"]
    assert [round(float(frame["pts_time"]), 3) for frame in frames] == [0.0, 0.08, 0.16, 0.24, 0.32]
    assert vidsr(["verify", str(clip), str(result)]) == 0


def test_it_acts_on_a_still_picture(tiny_model: Path, tmp_path: Path) -> None:
    pixels = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (64, 1, 3))
    Image.fromarray(pixels).save(tmp_path / "in.png")
    options = {"model": str(tiny_model), "scale": 1, "strength": 0.0, "fidelity": "0", "restore": "negative,halve"}
    result = enhance(tmp_path / "in.png", tmp_path / "out.png", **options)  # type: ignore[arg-type]
    turned = np.asarray(Image.open(result.output)).astype(int)
    assert np.abs(turned - (255 - pixels.astype(int))).max() <= 2


def test_its_parameter_is_checked_and_kept() -> None:
    with pytest.raises(OptionsError, match="--restore negative=3: give a number above 0"):
        EnhanceOptions.from_flat({"restore": "negative=3"})
    chosen = EnhanceOptions.from_flat({"restore": "negative=0.25"})
    assert json.loads(json.dumps(chosen.to_json()))["restore"]["restore"] == "negative=0.25"
    assert EnhanceOptions.from_json(chosen.to_json()) == chosen


def test_the_flags_help_lists_it_and_needs_no_torch() -> None:
    script = (
        "import sys; from vidsr.options.filter_choices import FILTERS; FILTERS['negative'] = 'tests.filters.made_up'\n"
        "from vidsr.cli.main import run; code = run(['enhance', '--help'])\n"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = processes.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "negative[=0..1]" in done.stdout
