"""Several frames only where there is memory for them, by one decision for a whole job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import run_ffmpeg
from vidsr import enhance
from vidsr.errors import Interrupted, ModelError, OptionsError
from vidsr.jobs.choosing import neighbour_memory
from vidsr.jobs.choosing.neighbour_memory import lack_of_memory, window_bytes
from vidsr.jobs.preview.timing import job_recipe
from vidsr.jobs.recipe import restoration_plan
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.manifest import Manifest
from vidsr.models import zoo
from vidsr.options.enhance_options import EnhanceOptions

CPU = torch.device("cpu")
SMALL, LARGE = 100 << 20, 100 << 30


@given(wide=st.integers(16, 4096), high=st.integers(16, 4096), scale=st.sampled_from([1, 2, 4]))
def test_windows_take_more_for_larger_frames_and_for_a_copy_without_noise(wide: int, high: int, scale: int) -> None:
    result = (scale * wide, scale * high)
    need = window_bytes((wide, high), result, CPU, "fp32", cleaned=False)
    assert need > 6900 * wide * high, "features of a window alone"
    assert window_bytes((wide + 16, high), result, CPU, "fp32", cleaned=False) > need
    assert window_bytes((wide, high), result, CPU, "fp32", cleaned=True) > need


def options(**flat: Any) -> EnhanceOptions:
    return EnhanceOptions.from_flat({"device": "cpu", **flat})


def test_the_memory_of_the_device_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: dict[str, Any] = {"source": (720, 576), "result": (2880, 2304), "half": True}
    monkeypatch.setattr(neighbour_memory, "free_bytes", lambda _: 12 << 30)
    assert lack_of_memory(options(multiframe="auto"), **pictures) == ""
    assert "for 4 workers" in lack_of_memory(options(multiframe="auto", workers=4), **pictures)
    assert lack_of_memory(options(multiframe="auto"), results=2, **pictures)
    monkeypatch.setattr(neighbour_memory, "free_bytes", lambda _: 4 << 30)
    assert "720x576" in lack_of_memory(options(multiframe="auto"), **pictures)
    assert lack_of_memory(options(multiframe="off"), **pictures) == ""
    with pytest.raises(
        OptionsError, match=r"--multiframe 0\.5: its windows of frames of 720x576 .* on cpu; .* are free"
    ):
        lack_of_memory(options(multiframe=0.5), **pictures)


def test_without_its_weights_auto_is_left_out_with_a_note(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration_plan, "AUTO_MULTIFRAME_MODELS", (str(tiny_model),))
    monkeypatch.setattr(neighbour_memory, "free_bytes", lambda _: LARGE)
    source = tmp_path / "moving.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x24:r=24:d=0.25", "-c:v", "ffv1", str(source))
    flat: dict[str, Any] = {"model": str(tiny_model), "codec": "ffv1"}
    monkeypatch.setattr(zoo, "folders", lambda: [tmp_path])
    made = enhance(source, tmp_path / "auto.mkv", multiframe="auto", **flat)
    (note,) = (note for note in made.notes if "--multiframe" in note)
    assert note.startswith("--multiframe auto: left out, its model basicvsr-bd-x4") and "not on this machine" in note
    with pytest.raises(ModelError, match=r"basicvsr-bd-x4 is not on this machine"):
        enhance(source, tmp_path / "half.mkv", multiframe=0.5, **flat)


@pytest.mark.parametrize(("first", "then"), [(SMALL, LARGE), (LARGE, SMALL)], ids=["left out", "used"])
def test_a_job_goes_on_with_what_was_decided_when_it_began(
    first: int, then: int, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration_plan, "AUTO_MULTIFRAME_MODELS", (str(tiny_model),))
    source, out = tmp_path / "moving.mkv", tmp_path / "out.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x24:r=24:d=0.5", "-c:v", "ffv1", str(source))
    flat: dict[str, Any] = {"model": str(tiny_model), "codec": "ffv1", "multiframe": "auto", "segment_frames": 6}
    stop, notes = Stop(), list[str]()

    def hear(event: Event) -> None:
        notes.extend([event.text] if event.kind == "note" else [])
        if event.kind == "segment":
            stop.soft.set()

    monkeypatch.setattr(neighbour_memory, "free_bytes", lambda _: first)
    with pytest.raises(Interrupted):
        enhance(source, out, progress=hear, stop=stop, **flat)
    begun = Manifest.load(job_folders.job_folder(out))
    left_out = first == SMALL
    asked = EnhanceOptions.from_json(begun.options)
    assert (asked.restore.multiframe == 0) == left_out == bool(begun.no_memory)
    expected = "--multiframe auto: left out, its windows of frames of 32x24 "
    assert any(note.startswith(expected) for note in notes) == left_out
    monkeypatch.setattr(neighbour_memory, "free_bytes", lambda _: then)
    resumed = enhance(source, out, **flat)
    assert any("left out, its windows" in note for note in resumed.notes) == left_out
    fresh = job_recipe(source, None, EnhanceOptions.from_flat(flat))
    assert bool(fresh.no_memory) != left_out, "a new job decides by the memory of its own time"
