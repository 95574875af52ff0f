"""The README's own code and commands run as written (the commands with a small model, to be quick)."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support import processes
from tests.support.clips import ClipFactory
from tests.support.places import ROOT, STILL, child_environment
from vidsr.cli.main import run

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def place(folder: Path, clips: ClipFactory) -> dict[str, str]:
    shutil.copy(clips("film"), folder / "clip.mp4")
    with Image.open(STILL) as photo:
        photo.resize((64, 36)).save(folder / "photo.png")
    return child_environment()


def test_the_python_example_runs(clips: ClipFactory, tmp_path: Path) -> None:
    (example,) = blocks("python")
    done = processes.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=tmp_path,
        env=place(tmp_path, clips),
        capture_output=True,
        text=True,
        limit_seconds=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("16 frames in")
    assert (tmp_path / "large.mkv").exists()
    assert (tmp_path / "photo.x4.png").exists()


def test_every_vidsr_command_runs(
    clips: ClipFactory,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    place(tmp_path, clips)
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks("sh") for line in block.splitlines() if "vidsr " in line]
    assert commands
    for line in commands:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "enhance":
            words += ["--model", str(tiny_model)]
        code = run(words)
        assert code == 0, (line, capfd.readouterr().err)


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^make (\S+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    for target in targets:
        assert re.search(rf"^(.* )?{target}( .*)?:", makefile, flags=re.MULTILINE), target


def test_every_relative_link_leads_somewhere() -> None:
    for document in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in link:
                assert (ROOT / link).exists(), f"{document.name}: {link}"
