"""Options as TOML: written, read back, and refused with every fault at once."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest

from vidsr.errors import OptionsError
from vidsr.options.schema import faults_of, from_data
from vidsr.options.toml import read_toml, to_toml
from vidsr.training.options import TrainOptions
from vidsr.training.run_presets import PRESETS, preset_options


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_read_back_equal_and_lack_only_the_dataset(name: str, tmp_path: Path) -> None:
    options = preset_options(name)
    assert list(faults_of(options)) == ["[data] dataset: give the folder that `vidsr dataset make` made"] or not any(
        faults_of(options)
    )
    file = tmp_path / "train.toml"
    file.write_text(to_toml(options).replace('dataset = ""', 'dataset = "data"'))
    read = read_toml(file, TrainOptions)
    assert to_toml(read) == file.read_text()
    assert read.degradation == options.degradation and read.gan == options.gan


def test_every_field_is_explained() -> None:
    lines = to_toml(preset_options("esrgan")).splitlines()
    for above, line in itertools.pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert above.startswith("# ") and len(above) > 12, line


def test_published_schedules_are_the_defaults() -> None:
    esrgan, real = preset_options("esrgan"), preset_options("realesrgan")
    assert (esrgan.psnr.steps, esrgan.psnr.learning_rate, esrgan.gan.steps) == (1_000_000, 2e-4, 400_000)
    assert (esrgan.gan.loss, esrgan.gan.gan_weight, esrgan.gan.pixel_weight) == ("ragan", 5e-3, 1e-2)
    assert (real.gan.loss, real.gan.gan_weight, real.gan.pixel_weight, real.data.patch) == ("vanilla", 0.1, 1.0, 256)
    assert real.degradation.first.sigma == (0.2, 3.0) and real.degradation.second.resize == (0.3, 1.2)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        """
        [data]
        dataset = "x"
        batsh = 4
        patch = "large"
        [generator]
        scale = 4
        [psnr]
        betas = [0.9]
        [gann]
        steps = 1
        """
    )
    with pytest.raises(OptionsError) as caught:
        read_toml(file, TrainOptions)
    text = str(caught.value)
    assert "4 faults" in text
    assert "[data] batsh: unknown, did you mean batch?" in text
    assert "[data] patch = 'large': must be a whole number" in text
    assert "[psnr] betas = [0.9]: must be a list of 2 numbers" in text
    assert "gann: unknown, did you mean gan?" in text


def test_values_out_of_range_and_contradictions(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        """
        [data]
        patch = 100
        batch = 0
        [run]
        precision = "fp8"
        [psnr]
        steps = 10
        warmup = 20
        [generator]
        scale = 3
        [degradation.first]
        sigma = [3.0, 0.2]
        kernel_size = [8, 21]
        kernels = { "round" = 1.0 }
        [gan]
        layers = { conv9_9 = 1 }
        """
    )
    with pytest.raises(OptionsError) as caught:
        read_toml(file, TrainOptions)
    text = str(caught.value)
    for part in (
        "[data] batch = 0: must be between 1 and 4096",
        '[run] precision = "fp8": must be one of fp32, bf16, fp16',
        "[psnr] warmup = 20",
        "[generator] scale = 3: must be one of 1, 2, 4, 8",
        "[degradation.first] sigma = [3.0, 0.2]: the lower end stands above the upper one",
        "[degradation.first] kernel_size = [8, 21]: both must be odd",
        "kernels: round is unknown",
        "layers: conv9_9 is unknown",
        "[gan] vgg: give a VGG16 or VGG19 file",
        "[data] patch = 100",
        "[data] dataset: give the folder",
    ):
        assert part in text, part


def test_no_toml_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[data\n")
    with pytest.raises(OptionsError, match="not valid TOML"):
        read_toml(tmp_path / "x.toml", TrainOptions)
    with pytest.raises(OptionsError, match="vidsr train init"):
        read_toml(tmp_path / "none.toml", TrainOptions)


def test_unknown_keys_and_values_out_of_range_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        """
        [run]
        sead = 1
        [data]
        dataset = 7
        patch = 100
        batch = 0
        [degradation.codec]
        chance = 2
        [gan]
        steps = 0
        """
    )
    with pytest.raises(OptionsError) as caught:
        read_toml(file, TrainOptions)
    text = str(caught.value)
    assert "5 faults" in text
    for part in (
        "[run] sead: unknown, did you mean seed?",
        "[data] dataset = 7: must be a text in quotes",
        "[data] batch = 0: must be between 1 and 4096",
        "[data] patch = 100: must be a multiple of 16",
        "[degradation.codec] chance = 2",
    ):
        assert part in text, part


def test_a_table_with_few_keys_keeps_its_own_defaults() -> None:
    """The second order's published values are not those of the first."""
    second = from_data({"data": {"dataset": "x"}, "gan": {"steps": 0}, "degradation": {"second": {"jpeg": [40, 50]}}},
                       TrainOptions).degradation.second  # fmt: skip
    assert second == dataclasses.replace(TrainOptions().degradation.second, jpeg=(40, 50))
