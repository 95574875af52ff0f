"""Fixtures for all tests: clips made on the spot, real footage where it is there, and ffprobe as the oracle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import settings

from tests.support import processes

# One thread in each process of tests: `make test` runs several, and sums come out the same everywhere. Before torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.support.clips import ClipFactory
from tests.support.networks import identity_model, tiny_model_file
from tests.support.places import ROOT

pytest_plugins = ("tests.support.watchdog",)

# No test asserts a time. Continuous integration asks for the same examples every time, so that one commit has one
# outcome; everybody else's runs go on searching.
settings.register_profile("suite", deadline=None, derandomize="VIDSR_FIXED_EXAMPLES" in os.environ)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs of tests are registered here, not in the user's state folder."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["VIDSR_STATE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What processes leave behind that tests kill lies in pytest's own folder, which pytest clears."""
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("tmp"))
    tempfile.tempdir = None  # the next use looks at TMPDIR again


@pytest.fixture(autouse=True)
def no_real_time_threads() -> Iterator[None]:
    """No test leaves this process with real-time priority: all later tests would starve what they wait for."""
    yield
    if hasattr(os, "sched_getscheduler"):
        policy = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        assert policy not in (os.SCHED_FIFO, os.SCHED_RR), "this test left a real-time priority behind"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipFactory:
    """``clips("basic")`` is the path of a named clip of tests/support/clips.py. Treat clips as read-only."""
    shared = None
    if "PYTEST_XDIST_WORKER" in os.environ:  # the folder of all workers
        shared = tmp_path_factory.getbasetemp().parent / "clips"
    return ClipFactory(tmp_path_factory.mktemp("clips"), shared)


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
        done = processes.run(command, capture_output=True, check=False)
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


@pytest.fixture
def one_segment_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No segment begins before the one before it is finished: how many are done when a job is stopped is then known."""
    from vidsr.jobs.engines.overlap import Load

    monkeypatch.setattr(Load, "has_room", lambda self: not self.busy())


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """vidsr's cache for one test, so that calibration starts over; the C kernels are those of the user's cache."""
    native = Path(os.environ.get("VIDSR_CACHE") or platformdirs.user_cache_dir("vidsr")) / "native"
    native.mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "native").symlink_to(native)
    monkeypatch.setenv("VIDSR_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real RRDBNet file, ×4, with few channels and random weights: quick to run, and unlike any resampler."""
    return tiny_model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model file, x1, whose network gives back its input."""
    return identity_model(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium through Playwright; skipped with a reason where either is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("VIDSR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and os.environ.get("VIDSR_REQUIRE_BROWSER") == "1":
        pytest.fail("VIDSR_REQUIRE_BROWSER is set, but there is no chromium")
    if program is None:
        pytest.skip("no chromium on this machine (scripts/install.sh installs it where it can)")
    with sync_api.sync_playwright() as playwright:
        # No sandbox: it needs rights that containers seldom have; the only page opened is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept for people to look at: ``VIDSR_ARTEFACTS``, else ``build/screenshots``."""
    folder = Path(os.environ.get("VIDSR_ARTEFACTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
