"""tOF and the warping error against the published definition, computed here directly with OpenCV."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.places import STILL
from vidsr.errors import MissingExtraError
from vidsr.quality import temporal

cv2 = pytest.importorskip("cv2")
Clip = list[np.ndarray]


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, Clip]:
    """A window that moves over a picture, and the same with a jitter, noise and flicker."""
    path = STILL
    picture = np.asarray(Image.open(path).convert("RGB"))
    rng = np.random.default_rng(2)
    steady = [np.ascontiguousarray(picture[20 + t : 132 + t, 40 + 2 * t : 184 + 2 * t]) for t in range(5)]
    rough = [
        np.clip(np.roll(f, t % 2, 1) * (1 + 0.03 * (-1) ** t) + rng.normal(0, 4, f.shape), 0, 255).astype(np.uint8)
        for t, f in enumerate(steady)
    ]
    return steady, rough


def measured(reference: Clip, clip: Clip, measure: Any) -> float:
    values = [
        measure(temporal.motion(reference[t - 1], reference[t]), clip[t - 1], clip[t]) for t in range(1, len(clip))
    ]
    return float(np.mean(values))


def flows(clip: Clip) -> Iterator[np.ndarray]:
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in clip]
    for before, now in itertools.pairwise(grey):
        yield cv2.calcOpticalFlowFarneback(before, now, None, 0.5, 3, 15, 3, 5, 1.2, 0)


def test_tof(clips: tuple[Clip, Clip]) -> None:
    steady, rough = clips
    # 112 x 144: (112 - 16) // 32 · 32 = 96 rows from 8, 128 columns from 8.
    wanted = [
        np.sqrt(((a - b) ** 2).sum(-1))[8:104, 8:136].mean() for a, b in zip(flows(steady), flows(rough), strict=True)
    ]
    assert measured(steady, rough, temporal.tof) == pytest.approx(np.mean(wanted), abs=1e-5)
    assert measured(steady, steady, temporal.tof) == 0


def test_tiny_frames_are_taken_whole() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (24, 30, 3), dtype=np.uint8) for _ in range(2)]
    assert temporal.tof(temporal.motion(*frames), frames[1], frames[0]) > 0


def test_warping_error(clips: tuple[Clip, Clip], shared: Path) -> None:
    """Equal to the independent script that the figures of restoration are measured with."""
    script = shared / "measure" / "temporal.py"
    names: dict[str, Any] = {"__name__": "measure"}
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), names)
    steady, rough = clips
    motion = list(names["flows_and_masks"]([f.astype(np.float32) / 255 for f in steady]))
    for clip in clips:
        wanted = names["warping_error"]([f.astype(np.float32) / 255 for f in clip], motion)
        assert measured(steady, clip, temporal.warping_error) == pytest.approx(float(wanted), rel=1e-4)
    assert measured(steady, rough, temporal.warping_error) > 2 * measured(steady, steady, temporal.warping_error)


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert not temporal.available()
    with pytest.raises(MissingExtraError, match=r"vidsr-esrgan\[compare\]"):
        temporal.motion(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
