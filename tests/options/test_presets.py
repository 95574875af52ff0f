"""Presets of one's own: saved, read back, used, and never dangerous to a job."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import oracle, processes
from tests.support.clips import ClipFactory
from vidsr import enhance
from vidsr.cli.preview import tried
from vidsr.errors import JobError, OptionsError
from vidsr.jobs.state.job_folders import job_folder
from vidsr.jobs.state.manifest import Manifest
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions
from vidsr.options.presets import preset_values, presets_folder, save_preset

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "model": st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1),
    "crf": st.floats(0, 63),
    "scale": st.floats(1, 8),
    "audio": st.booleans(),
    "map": st.lists(st.sampled_from(["0", "audio", "subtitle"])).map(tuple),
    "encoder_options": st.lists(st.sampled_from(["tune=film", 'a="b\\c"'])).map(tuple),
    "restore": st.sampled_from(["auto", "deinterlace,crop", "crop=8:0:704:576,deinterlace=tff"]),
    "fidelity": st.sampled_from(["auto", 0.25]),
    "preset": st.sampled_from(["slow", "veryfast"]),
}


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_CONFIG", str(tmp_path / "config"))


@given(st.fixed_dictionaries({"tile": st.integers(32, 8192)}, optional=VALUES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_saved_preset_gives_the_same_options(values: dict[str, Any]) -> None:
    options = EnhanceOptions.from_flat(values)
    typed = {n: getattr(getattr(options, g), n) for n in values for g in options.to_json() if n in options.to_json()[g]}
    save_preset("mine", typed, EnhanceOptions, overwrite=True)
    assert EnhanceOptions.from_flat({"preset": "mine"}) == options
    assert EnhanceOptions(encode=EncodeOptions(preset="mine")).check() == options


def test_the_file_explains_every_option_and_sets_only_the_given_ones() -> None:
    path = save_preset("mine", {"crf": 18.0, "overwrite": True, "restart": True}, EnhanceOptions)
    text = path.read_text()
    assert tomllib.loads(text) == {g: {} for g in EnhanceOptions().to_json()} | {"encode": {"crf": 18.0}}
    for group, fields in EnhanceOptions().to_json().items():
        assert f"[{group}]" in text
        assert all(f"{name} =" in text for name in fields)
    with pytest.raises(OptionsError, match="exists; add --overwrite"):
        save_preset("mine", {"crf": 20.0}, EnhanceOptions)
    assert save_preset("mine", {"crf": 20.0}, EnhanceOptions, overwrite=True) == path
    assert preset_values("mine", EnhanceOptions) == {"crf": 20.0}


@pytest.mark.parametrize("name", ["vhs", "veryfast", "8", "a/b", "..", "", "x.toml", "é", "a b"])
def test_names_that_mean_something_else_or_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(OptionsError, match="--save-preset"):
        save_preset(name, {"crf": 18.0}, EnhanceOptions)
    assert not presets_folder().exists()


def test_a_preset_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "shared.toml"
    path.write_text('[encode]\npreset = "vhs"\n[restore]\nstrength = 0.6\n')
    options = EnhanceOptions.from_flat({"preset": str(path), "grain": 0.1})
    assert (options.restore.strength, options.restore.stabilize, options.restore.grain) == (0.6, 0.5, 0.1)
    with pytest.raises(OptionsError, match=r"none\.toml: cannot be read"):
        EnhanceOptions.from_flat({"preset": str(tmp_path / "none.toml")})
    path.write_text('[encode]\npreset = "other"\n')
    save_preset("other", {"crf": 1.0}, EnhanceOptions)
    with pytest.raises(OptionsError, match=r"line 2: .* cannot name another user's preset"):
        EnhanceOptions.from_flat({"preset": str(path)})


def test_a_preset_in_one_column_of_a_preview() -> None:
    save_preset("mine", {"strength": 0.6}, EnhanceOptions)
    base = EnhanceOptions.from_flat({"grain": 0.3, "strength": 0.9})
    assert (tried(base, "--preset mine").restore.strength, tried(base, "--preset mine").restore.grain) == (0.6, 0.3)


def test_a_job_keeps_its_options_when_the_preset_changes(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    save_preset("mine", {"crf": 30.0, "model": str(identity), "scale": 1.0, "segment_frames": 6}, EnhanceOptions)
    whole = enhance(clips("basic"), tmp_path / "whole.mkv", preset="mine")
    output = tmp_path / "out.mkv"

    def give_up(event: Any) -> None:
        if event.kind == "segment" and event.segment == 1:
            raise RuntimeError("as a crash would")

    with pytest.raises(RuntimeError):
        enhance(clips("basic"), output, preset="mine", progress=give_up)
    recorded = Manifest.load(job_folder(output)).options["encode"]
    assert (recorded["crf"], recorded["preset"]) == (30.0, None)
    save_preset(
        "mine", {"crf": 10.0, "model": str(identity), "scale": 1.0, "segment_frames": 6}, EnhanceOptions, overwrite=True
    )
    with pytest.raises(JobError, match=r"crf.*vidsr jobs resume"):
        enhance(clips("basic"), output, preset="mine")
    command = [sys.executable, "-m", "vidsr", "jobs", "resume", str(output)]
    processes.run(command, check=True, capture_output=True, env=dict(os.environ))
    assert oracle.digest(output) == oracle.digest(whole.output)


@pytest.mark.long
def test_saving_and_using_one_on_the_command_line(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    def vidsr(*words: str) -> str:
        command = [sys.executable, "-m", "vidsr", *words]
        return processes.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stderr

    source, first, second = str(clips("basic")), tmp_path / "first.mkv", tmp_path / "second.mkv"
    said = vidsr("enhance", source, "-o", str(first), "--model", str(identity), "--crf", "35", "--save-preset", "mine")
    assert f"preset saved: {presets_folder() / 'mine.toml'}" in said
    vidsr("enhance", source, "-o", str(second), "--preset", "mine")
    assert oracle.digest(first) == oracle.digest(second)
