"""The job that tests stop and break, and what it makes when left in peace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory
from tests.support.small_job import SmallJob
from vidsr import enhance


@pytest.fixture(scope="module")
def wanted(clips: ClipFactory, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("wanted") / "out.mkv"
    enhance(clips("basic"), out, model=str(tiny_model), scale=2, segment_frames=6)
    return oracle.digest(out)


@pytest.fixture
def small_job(clips: ClipFactory, tiny_model: Path, wanted: str, tmp_path: Path) -> SmallJob:
    shutil.copy2(clips("basic"), tmp_path / "clip.mp4")
    return SmallJob(tmp_path, tiny_model, wanted)
