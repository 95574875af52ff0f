"""A part of the hazard matrix on every run; all of it with ``-m slow``; and the page that shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import HAZARDS, QUICK, by_name
from tests.support.hazards.damage import DAMAGE
from tests.support.hazards.matrix import CELLS, QUICK_CELLS, run_cell
from tests.support.hazards.page import DOCUMENT, document
from tests.support.hazards.pictures import ALPHA, PICTURES
from tests.support.hazards.streams import STREAMS
from tests.support.hazards.timing import TIMING

needs_oracle = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe on this machine")


@pytest.fixture
def cell_clips(tmp_path: Path) -> ClipFactory:
    factory = ClipFactory(tmp_path / "clips")
    factory.folder.mkdir()
    return factory


@needs_oracle
@pytest.mark.parametrize("name", QUICK)
def test_hazard(name: str, cell_clips: ClipFactory, identity: Path) -> None:
    _all_cells(name, QUICK_CELLS, cell_clips, identity)


@needs_oracle
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [hazard.name for hazard in HAZARDS])
def test_hazard_with_every_codec(name: str, cell_clips: ClipFactory, identity: Path) -> None:
    _all_cells(name, CELLS, cell_clips, identity)


def _all_cells(name: str, cells: dict[str, tuple[str, ...]], clips: ClipFactory, identity: Path) -> None:
    wrong = []
    for container, codecs in cells.items():
        for codec in codecs:
            outcome = run_cell(by_name(name), container, codec, clips, identity)
            if outcome.state == "WRONG":
                wrong.append(f"{codec}.{container}: {outcome.text}")
    assert not wrong


def test_the_page_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document(), "run: python -m scripts.hazards"


def test_names_differ_and_the_fast_part_has_clips_of_every_kind() -> None:
    names = [hazard.name for hazard in HAZARDS]
    assert len(set(names)) == len(names)
    quick = [by_name(name) for name in QUICK]
    for kind in (TIMING, STREAMS, PICTURES, ALPHA, DAMAGE):
        assert any(hazard in kind for hazard in quick), kind[0].name
