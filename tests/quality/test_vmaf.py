"""VMAF through our pipe against ffmpeg's libvmaf run directly on files."""

from __future__ import annotations

import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.support import processes
from vidsr.errors import VidsrError
from vidsr.quality.vmaf import Libvmaf

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def raw_clip(path: Path, source: str, size: str, pixels: str) -> Path:
    graph = f"testsrc2=s=320x180:r=25:d=0.2,scale={size.replace('x', ':')},format={pixels},{source}"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", graph]
    processes.run([*command, "-pix_fmt", pixels, "-f", "rawvideo", path], check=True)
    return path


def lumas(path: Path, width: int, height: int, dtype: str) -> list[np.ndarray]:
    luma, chroma = width * height, 2 * (-(-width // 2) * -(-height // 2))
    frames = np.frombuffer(path.read_bytes(), dtype).reshape(-1, luma + chroma)
    return [f[:luma].reshape(height, width) for f in frames]


@pytest.mark.parametrize("width, height, depth", [(160, 90, 8), (131, 77, 8), (160, 90, 10)])
def test_equals_ffmpeg_on_files(tmp_path: Path, width: int, height: int, depth: int) -> None:
    pixels, dtype = ("yuv420p", "u1") if depth == 8 else ("yuv420p10le", "<u2")
    size = f"{width}x{height}"
    clean = raw_clip(tmp_path / "a.yuv", "null", size, pixels)
    worse = raw_clip(tmp_path / "b.yuv", "gblur=1.2,noise=alls=12", size, pixels)
    inputs = [word for p in (worse, clean) for word in ("-f", "rawvideo", "-pix_fmt", pixels, "-s", size, "-i", str(p))]
    graph = "[0:v][1:v]libvmaf=log_fmt=json:log_path=direct.json"
    processes.run([FFMPEG, "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"], check=True, cwd=tmp_path)
    direct = [f["metrics"]["vmaf"] for f in json.loads((tmp_path / "direct.json").read_text())["frames"]]
    with Libvmaf(width, height, depth) as vmaf:
        for pair in zip(lumas(clean, width, height, dtype), lumas(worse, width, height, dtype), strict=True):
            vmaf.add(*pair)
        ours = vmaf.scores()
    assert len(ours) == len(direct) == 5
    assert ours == pytest.approx(direct, abs=1e-3)
    assert min(ours) < 95, "the damage is seen"


def test_a_reason_is_given() -> None:
    with Libvmaf(4, 4) as vmaf, pytest.raises(VidsrError, match="could not compute VMAF or CAMBI"):
        for _ in range(3):
            vmaf.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
        vmaf.scores()


def test_nothing_is_left_when_it_is_broken_off() -> None:
    with Libvmaf(64, 64) as vmaf:
        vmaf.add(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8))
        folder = Path(vmaf._folder.name)
    assert not folder.exists()
    assert vmaf._process.returncode is not None
