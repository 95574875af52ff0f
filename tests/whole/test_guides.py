"""The commands and programs of the guides run as written, in a folder with a small file of every kind they name."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import processes
from tests.support.places import ROOT, STILL, child_environment

GUIDES = ("guides/archive.md", "guides/home-video.md", "guides/textures.md", "faq.md", "what-is-kept.md")
#: Real videos are seconds long here, so that moments named in the text lie behind their end.
FILMS: tuple[str, ...] = (
    "clip.mp4",
    "clip.mkv",
    "film.mkv",
    "original.mkv",
    "reference.mkv",
    "tape.mpg",
    "camcorder.dv",
    "film.vob",
)
FILMS += ("reel.mov", "show.mkv", "a.mkv", "b.mkv")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def commands(page: str) -> list[str]:
    """Every `vidsr` command of a page: lines of its code blocks, and what stands in backticks with a file name."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    lines = [
        line for block in re.findall(r"```(?:sh)?\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()
    ]
    lines += re.findall(r"`(vidsr [^`…]*\.[a-z0-9]{2,4}[^`…]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    whole = [n for n in lines if re.match(r"vidsr (?!serve)", n) and "…" not in n and "mine.safetensors" not in n]
    return list(dict.fromkeys(re.sub(r"\s+", " ", line) for line in whole))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guides")
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-f", "lavfi", "-i"]
    make += ["sine=d=1:r=48000", "-shortest"]
    for name in FILMS:
        codecs = ["-c:v", "mpeg2video", "-c:a", "mp2"] if name.endswith((".mpg", ".vob")) else []
        if name.endswith(".dv"):
            codecs = ["-s", "720x576", "-pix_fmt", "yuv420p", "-frames:v", "3", "-an"]
        processes.run([*make, *codecs, str(folder / name)], check=True)
    # A quarter of an hour of few frames, for parts of it.
    long = [word.replace("r=25:d=1", "r=1/5:d=900").replace("d=1:r", "d=900:r") for word in make]
    processes.run([*long, "-c:a", "flac", str(folder / "evening.mkv")], check=True)
    (folder / "parts.csv").write_text("from,to,name\n0:30,2:00,arrival\n12:00,14:30.5,speech\n0:14:00,,end\n")
    picture = np.dstack([np.add.outer(np.arange(48), np.arange(64)) * 2] * 3).astype(np.uint8)
    for name in ("photo.jpg", "textures/wall/brick.png", "normals/a.png", "scan/000001.tif", "scan/000002.tif"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(picture).save(folder / name)
    scan = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=24", "-frames:v", "2"]
    processes.run([*scan, "-pix_fmt", "gbrp10be", str(folder / "scan.%07d.dpx")], check=True)
    frames = [Image.fromarray(np.roll(picture, 9 * n, 1)) for n in range(3)]
    frames[0].save(folder / "anim.gif", save_all=True, append_images=frames[1:], duration=80)
    return folder


@pytest.mark.parametrize("page", GUIDES)
def test_commands_of(page: str, place: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Pages build on their own commands only, so each gets a fresh copy of the folder."""
    folder = tmp_path / "place"
    shutil.copytree(place, folder)
    environment = child_environment(VIDSR_STATE=str(tmp_path / "state"))
    found = commands(page)
    assert found
    for line in found:
        words = shlex.split(line, comments=True)[1:]
        if words[0] in ("enhance", "preview", "plan") and "--model" not in words:
            words += ["--model", str(tiny_model)]
        done = processes.run(
            [sys.executable, "-m", "vidsr", *words], cwd=folder, env=environment, capture_output=True, text=True,
            limit_seconds=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{page}: {line}\n{done.stderr[-1500:]}"


def test_the_programs_of_the_developer_guide(tmp_path: Path) -> None:
    """All Python blocks in one process, from top to bottom, with warnings as errors."""
    text = (ROOT / "docs" / "guides" / "developer.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 7
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1.2", str(tmp_path / "clip.mp4")]
    processes.run(make, check=True)
    shutil.copy(STILL, tmp_path / "photo.png")
    (tmp_path / "guide.py").write_text("\n".join(blocks), encoding="utf-8")
    done = processes.run(
        [sys.executable, "-W", "error", "guide.py"],
        cwd=tmp_path,
        env=child_environment(VIDSR_STATE=str(tmp_path / "state")),
        capture_output=True,
        text=True,
        limit_seconds=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for line in ("large.mkv 30 frames,", "of 30 frames", "segments are done; to resume:", "(360, 640, 3)", "True []"):
        assert line in done.stdout, done.stdout
    assert (tmp_path / "archive.mkv").exists() and not (tmp_path / "background.mkv").exists()
