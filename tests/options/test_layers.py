"""Command line, environment, preset, vidsr.toml, defaults: which value counts, and what is said of bad ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import processes
from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.layers import FILE_NAME, Layered, layered
from vidsr.options.presets import presets_folder


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_CONFIG", str(tmp_path / "config"))


def preset(name: str, text: str) -> None:
    presets_folder().mkdir(parents=True, exist_ok=True)
    (presets_folder() / f"{name}.toml").write_text(text)


def found(folder: Path, given: dict[str, Any] | None = None, **environ: str) -> Layered:
    return layered(given or {}, folder / "clip.mkv", environ)


ORDER = ("file", "preset", "environment", "command line")
#: What each layer sets among four options, lowest layer first.
LAYERS = st.fixed_dictionaries(
    {
        layer: st.dictionaries(st.sampled_from(["crf", "grain", "tile", "strength"]), st.integers(0, 1))
        for layer in ORDER
    }
)


@given(LAYERS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_highest_layer_that_sets_an_option_counts(tmp_path: Path, layers: dict[str, dict[str, int]]) -> None:
    rank = list(ORDER)
    values = {
        layer: {name: (32 + rank.index(layer) if name == "tile" else (rank.index(layer) + 1) / 8) for name in names}
        for layer, names in layers.items()
    }
    group = {"crf": "encode", "grain": "restore", "strength": "restore", "tile": "model"}

    def toml(layer: str) -> str:
        return "".join(f"{group[name]}.{name} = {value}\n" for name, value in values[layer].items())

    (tmp_path / FILE_NAME).write_text(toml("file"))
    preset("mine", toml("preset"))
    environ = {f"VIDSR_{name.upper()}": str(value) for name, value in values["environment"].items()}
    result = found(tmp_path, {"preset": "mine", **values["command line"]}, **environ)
    for name in group:
        setters = [layer for layer in rank if name in values[layer]]
        if setters:
            assert result.values[name] == values[setters[-1]][name]
            assert result.origins[name].kind == setters[-1]
        else:
            assert name not in result.values
    assert result.options(EnhanceOptions).encode.preset is None


def test_the_place_of_each_value(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("# for this shelf\n[encode]\ncrf = 20\n\n[restore]\ngrain = 0.5\n")
    preset("mine", '[encode]\npreset = "vhs"\n[restore]\nstrength = 0.7\n')
    result = found(tmp_path, {"grain": 0.25}, VIDSR_PRESET="mine", VIDSR_AUDIO="no", VIDSR_MAP="0 audio")
    said = {name: str(origin) for name, origin in result.origins.items()}
    assert said["crf"] == f"file: {tmp_path / FILE_NAME}, line 3"
    assert said["grain"] == "command line"
    assert said["strength"] == f"preset: {presets_folder() / 'mine.toml'}, line 4"
    assert said["stabilize"] == "preset: material vhs"
    assert said["audio"] == "environment: VIDSR_AUDIO"
    options = result.options(EnhanceOptions)
    assert options.encode.preset is None and options.streams.map == ("0", "audio") and not options.streams.audio
    assert (options.restore.strength, options.restore.stabilize, options.restore.grain) == (0.7, 0.5, 0.25)


def test_options_that_exclude_each_other_are_those_of_the_highest_layer(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("[size]\nscale = 2\n")
    assert found(tmp_path, {"height": 720}).options(EnhanceOptions).size.height == 720
    assert found(tmp_path, {}, VIDSR_SIZE="640x480").options(EnhanceOptions).size.scale is None


def test_a_preset_that_vidsr_toml_names_is_below_its_other_values(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('[encode]\npreset = "vhs"\n[restore]\nstrength = 1.0\n')
    options = found(tmp_path).options(EnhanceOptions)
    assert (options.restore.strength, options.restore.stabilize) == (1.0, 0.5)
    assert found(tmp_path, {"preset": "dv"}).options(EnhanceOptions).restore.stabilize == 0.3


def test_the_encoders_own_presets_stay(tmp_path: Path) -> None:
    preset("fast", '[encode]\npreset = "veryfast"\n')
    assert found(tmp_path, {"preset": "fast"}).options(EnhanceOptions).encode.preset == "veryfast"
    assert found(tmp_path, {"preset": "slow"}).options(EnhanceOptions).encode.preset == "slow"


def test_an_explicit_default_beats_a_preset(tmp_path: Path) -> None:
    assert found(tmp_path, {"preset": "vhs", "strength": 1.0}).options(EnhanceOptions).restore.strength == 1.0


def test_a_model_file_is_found_from_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "my.safetensors").write_bytes(b"x")
    (tmp_path / FILE_NAME).write_text('[model]\nmodel = "my.safetensors"\n')
    assert found(tmp_path).values["model"] == str(tmp_path / "my.safetensors")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[encode]\ncfr = 20\n", "line 2: .*cfr: unknown, did you mean crf"),
        ("\n[encode]\n\ncrf = 99\n", "line 4: .*crf = 99.*between 0 and 63"),
        ('[encode]\ncrf = "x"\n', "line 2: .*must be a number"),
        ("[encod]\ncrf = 3\n", "line 1: encod: unknown, did you mean encode"),
        ("crf = 3\n", "line 1: crf: unknown"),
        ("[encode\n", "not valid TOML: .*line 1"),
        ("[size]\nscale = 2\nheight = 720\n", "contradict each other"),
        ('[restore]\nrestore = "nonsense"\n', "line 2: .*nonsense"),
        ("[output]\noverwrite = true\n", "line 2: overwrite cannot be set by a file next to footage"),
        ('[encode]\nencoder_options = ["stats=/etc/x"]\n', "line 2: encoder_options cannot be set"),
        ('[encode]\npreset = "../x.toml"\n', "name a preset here, not a file"),
    ],
)
def test_a_fault_in_a_file_names_file_and_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(OptionsError, match=says) as caught:
        found(tmp_path)
    assert str(tmp_path / FILE_NAME) in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("VIDSR_CFR", "20", "did you mean VIDSR_CRF"),
        ("VIDSR_CRF", "99", "VIDSR_CRF=99: must be between 0 and 63"),
        ("VIDSR_CRF", "x", "VIDSR_CRF=x: must be a number"),
        ("VIDSR_TILE", "1.5", "VIDSR_TILE=1.5: must be a whole number"),
        ("VIDSR_AUDIO", "maybe", "VIDSR_AUDIO=maybe: must be 1 or 0"),
        ("VIDSR_CODEC", "cinepak", "VIDSR_CODEC=cinepak: must be one of auto"),
        ("VIDSR_FIDELITY", "2", "VIDSR_FIDELITY=2: .*between 0 and 1"),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(tmp_path: Path, variable: str, value: str, says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        layered({}, tmp_path / "clip.mkv", {variable: value})


def test_other_variables_and_empty_ones_are_left_alone(tmp_path: Path) -> None:
    others = {"VIDSR_STATE": "x", "VIDSR_WEIGHTS": "y", "VIDSR_SOMETHING_ELSE": "z", "VIDSR_CRF": "", "PATH": "/"}
    assert layered({}, tmp_path / "clip.mkv", others).values == {}


def test_config_show_says_where_values_come_from(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("[encode]\ncrf = 20\n")
    command = [sys.executable, "-m", "vidsr", "config", "show", str(tmp_path / "clip.mkv"), "--grain", "0", "--json"]
    environ = {**os.environ, "VIDSR_FIDELITY": "auto"}
    done = processes.run(command, capture_output=True, text=True, check=True, env=environ)
    shown = json.loads(done.stdout)
    assert shown["encode"]["crf"] == {"value": 20, "from": "file", "place": f"{tmp_path / FILE_NAME}, line 2"}
    assert shown["restore"]["grain"] == {"value": 0.0, "from": "command line", "place": ""}
    assert shown["restore"]["fidelity"] == {"value": "auto", "from": "environment", "place": "VIDSR_FIDELITY"}
    assert shown["model"]["tile"]["from"] == "default"
