"""Fixtures for all tests: clips made on the spot, real footage where it is there, and ffprobe as the oracle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clips import ClipFactory

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs of tests are registered here, not in the user's state folder."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["VIDSR_STATE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipFactory:
    """``clips("basic")`` is the path of a named clip of tests/clips.py. Treat clips as read-only."""
    return ClipFactory(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def make_clip(clips: ClipFactory) -> Callable[..., Path]:
    """``make_clip("name.mkv", *ffmpeg_arguments)`` makes a clip once per session and returns its path."""
    return clips.make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and weights beside the checkout (``VIDSR_SHARED`` overrides)."""
    folder = Path(os.environ.get("VIDSR_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir() and not os.environ.get("VIDSR_SHARED"):
        # A git worktree may lie one folder deeper than the checkout.
        folder = ROOT.parent.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder shared/ beside the checkout and VIDSR_SHARED is not set")
    return folder.resolve()


@pytest.fixture(scope="session")
def ffprobe() -> Callable[..., dict[str, Any]]:
    """``ffprobe(path, "-show_streams", …)`` is ffprobe's JSON answer: an oracle that is not our code."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("no ffprobe on this machine (scripts/install.sh installs it where it can)")

    def ask(path: Path, *args: str) -> dict[str, Any]:
        command = [program, "-v", "error", "-print_format", "json", *args, str(path)]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``gpu`` where there is none, unless ``VIDSR_REQUIRE_GPU=1`` wants them to fail."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked or os.environ.get("VIDSR_REQUIRE_GPU") == "1":
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real RRDBNet file, ×4, with few channels and random weights: quick to run, told apart from nothing."""
    import torch
    from safetensors.torch import save_file

    from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig

    torch.manual_seed(7)
    network = RRDBNet(RRDBNetConfig(num_feat=8, num_block=1, num_grow_ch=4))
    path = tmp_path_factory.mktemp("model") / "tiny-x4.safetensors"
    save_file(network.state_dict(), str(path))
    return path
