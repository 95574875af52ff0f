"""What holds for every filter: a cut changes no frame of a clip on which it acts; its cost is known; a guide names it.

Kills, workers, numbered pictures and Ray: ``python -m benchmarks.robustness.filter_matrix``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clips import run_ffmpeg
from tests.support.filter_clips import clip_of
from tests.support.filter_cuts import FilteredClip
from tests.support.places import ROOT
from vidsr.filters.before.descriptor import descriptor
from vidsr.media.probe import probe
from vidsr.options.filter_choices import FILTERS

DOUBLED = [name for name in FILTERS if descriptor(name).doubling is not None]
#: Filters that look at many frames on either side, and so take longest.
FAR = {"wobble", "deinterlace", "weave", "breathing", "scratch"}


def check(name: str, model: Path, folder: Path, **options: Any) -> None:
    """Cut the clip of a filter at its middle and a frame later, and near its ends."""
    clip = clip_of(name)
    source = clip.make(folder / "source")
    filtered = FilteredClip.of(source, model, restore=clip.restore, **options)
    plain = FilteredClip.of(source, model)
    assert filtered.pictures() != plain.pictures(), "the filter does nothing to its clip"
    middle = filtered.count // 2
    assert filtered.unlike([2, middle, middle + 1, filtered.count - 3]) == []


def long_where_far(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.long) if name in FAR else name for name in names]


@pytest.mark.parametrize("name", long_where_far(FILTERS))
def test_a_cut_changes_no_frame(name: str, identity: Path, tmp_path: Path) -> None:
    check(name, identity, tmp_path)


@pytest.mark.parametrize("name", long_where_far(DOUBLED))
def test_a_cut_changes_no_frame_of_doubled_fields(name: str, identity: Path, tmp_path: Path) -> None:
    check(name, identity, tmp_path, fields="double")


@pytest.mark.parametrize("name", FILTERS)
def test_clips_of_few_frames_pass(name: str, identity: Path, tmp_path: Path) -> None:
    clip = clip_of(name)
    source = clip.make(tmp_path / "whole")
    for count in (1, 2, 5):
        part = tmp_path / f"{count}{source.suffix}"
        run_ffmpeg("-i", str(source), "-frames:v", str(count), "-c:v", "copy", str(part))
        filtered = FilteredClip.of(part, identity, restore=clip.restore)
        assert filtered.unlike([1] if filtered.count > 1 else []) == []


def recoded(name: str, family: str, folder: Path, frames: int = 8) -> Path:
    """The first frames of a filter's clip as RGB or grey."""
    source, copy = clip_of(name).make(folder / "source"), folder / f"{family}.mkv"
    flags = ("-frames:v", str(frames), "-fps_mode", "passthrough", "-c:v", "ffv1")
    run_ffmpeg("-i", str(source), *flags, "-pix_fmt", {"rgb": "gbrp", "gray": "gray"}[family], str(copy))
    return copy


RECODED = [(name, family) for name in FILTERS for family in ("rgb", "gray")]
PASSED = [(name, family) for name, family in RECODED if family not in descriptor(name).families]
ACTING = [(name, family) for name, family in RECODED if family in descriptor(name).families]


@pytest.mark.parametrize(("name", "family"), PASSED)
def test_it_says_so_where_it_cannot_act(name: str, family: str, identity: Path, tmp_path: Path) -> None:
    copy, restore = recoded(name, family, tmp_path), clip_of(name).restore
    filtered, plain = (FilteredClip.of(copy, identity, restore=asked) for asked in (restore, "off"))
    assert filtered.pictures() == plain.pictures()
    (note,) = (note for note in filtered.run.recipe.advice() if "without effect" in note)
    assert note.startswith(f"--restore {name}: ")
    assert ("ffmpeg -i" in note) == (family == "rgb")


def test_the_copy_that_a_note_asks_for_has_the_same_colours(identity: Path, tmp_path: Path) -> None:
    copy, made = recoded("headswitch", "rgb", tmp_path), tmp_path / "copy.mkv"
    advice = FilteredClip.of(copy, identity, restore="headswitch=8").run.recipe.advice()
    (command,) = (note[note.index("ffmpeg -i") :] for note in advice if "ffmpeg -i" in note)
    run_ffmpeg(*shlex.split(command)[1:-1], str(made))
    assert probe(made).video.format.family == "yuv" and probe(made).video.colour.matrix == "smpte170m"
    source, again = (
        np.frombuffer(run_ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), np.uint8).astype(int)
        for path in (copy, made)
    )
    assert len(source) == len(again) and abs(source - again).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "family"), ACTING)
def test_it_acts_on_the_families_that_it_names(name: str, family: str, identity: Path, tmp_path: Path) -> None:
    copy, restore = recoded(name, family, tmp_path, 40), clip_of(name).restore
    filtered, plain = (FilteredClip.of(copy, identity, restore=asked) for asked in (restore, "off"))
    assert filtered.pictures() != plain.pictures()


@pytest.mark.parametrize("name", FILTERS)
def test_its_cost_is_measured(name: str) -> None:
    script = (ROOT / "benchmarks" / "speed" / "filters.py").read_text(encoding="utf-8")
    assert re.search(rf'^    \("{name}[="]', script, re.MULTILINE)


@pytest.mark.parametrize("name", FILTERS)
def test_a_guide_says_what_it_is_for(name: str) -> None:
    """It shows the option, and goes on for two sentences at least."""
    wanted = re.compile(rf"`--restore {name}(=[^`]*)?`(.*?)(?=\n\n|\n- |\Z)", re.DOTALL)
    guides = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "guides").glob("*.md")]
    told = [match[2] for text in guides for match in wanted.finditer(text)]
    assert any(len(re.findall(r"[.:](?=\s|$)", words)) >= 2 for words in told), told
