"""From a run to a model that `vidsr enhance` takes, through the command line as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.training import textured
from vidsr.cli.main import run
from vidsr.errors import OutputError, TrainingError
from vidsr.models.checkpoint import load
from vidsr.training import checkpoints
from vidsr.training.export_run import export
from vidsr.training.options import TrainOptions
from vidsr.training.trainer import start
from vidsr.training.validation import Validation, enlarge

Options = Callable[..., TrainOptions]


@dataclass
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


@pytest.fixture
def vidsr(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``vidsr("train", "run", path)`` runs the command line and checks its exit code."""

    def call(*arguments: str, code: int = 0) -> Done:
        capsys.readouterr()
        got = run(list(arguments))
        out, err = capsys.readouterr()
        assert got == code, err
        return Done(out, err)

    return call


def test_export_picks_what_is_asked_for_and_refuses_what_is_not_there(
    small_options: Options, validation_folder: Path, tmp_path: Path
) -> None:
    options = small_options(psnr={"steps": 20}, gan={"steps": 10}, validation={"folder": str(validation_folder)})
    start(options, resume=False)
    folder, target = tmp_path / "run", tmp_path / "m.safetensors"
    assert export(folder, target).name == "gan-00000010"
    assert export(folder, target, stage="psnr", overwrite=True).name == "psnr-00000020"
    assert export(folder, target, which="psnr-00000010", overwrite=True).name == "psnr-00000010"
    assert export(folder, target, which="best", stage="psnr", overwrite=True).name.startswith("psnr")
    model = load(target)
    assert model.scale == 4 and model.card["stage"] == "psnr" and "psnr_y" in model.card["scores"]
    assert str(tmp_path) not in json.dumps(model.card), "the card names no folder of this machine"
    assert json.loads(model.card["options"])["psnr"]["steps"] == 20
    with pytest.raises(OutputError, match="already exists"):
        export(folder, target)
    with pytest.raises(TrainingError, match="no checkpoint psnr-00000015; there are psnr-00000010"):
        export(folder, tmp_path / "n.safetensors", which="psnr-00000015")
    with pytest.raises(TrainingError, match="no checkpoint"):
        export(tmp_path / "none", tmp_path / "n.safetensors")
    with pytest.raises(OutputError, match="with that ending"):
        export(folder, tmp_path / "n.pth")


def test_from_a_folder_of_pictures_to_an_enhanced_picture(vidsr: Callable[..., Done], tmp_path: Path) -> None:
    """dataset make, train init, run, export, enhance: nothing but the commands."""
    source = tmp_path / "photos"
    source.mkdir()
    for seed in range(3):
        Image.fromarray(textured(seed, 80, 80)).save(source / f"{seed}.png")
    data, toml, model = tmp_path / "data", tmp_path / "train.toml", tmp_path / "mine.safetensors"
    facts = json.loads(vidsr("dataset", "make", str(source), str(data), "--patch", "64", "--json").stdout)
    assert facts["patches"] == 12 and Path(facts["report"]).is_file()
    vidsr("train", "init", "--preset", "tiny", "--dataset", str(data), "--folder", str(tmp_path / "run"), str(toml))
    before, psnr, rest = re.split(r"(?=^\[psnr\])|(?=^\[gan\])", toml.read_text(), flags=re.MULTILINE)
    psnr = re.sub(r"^steps = \d+", "steps = 4", psnr, flags=re.MULTILINE).replace("warmup = 40", "warmup = 0")
    rest = re.sub(r"^steps = \d+", "steps = 0", rest, flags=re.MULTILINE)  # the gan stage needs VGG's weights
    toml.write_text(before.replace("patch = 64", "patch = 32") + psnr + rest)
    told = json.loads(vidsr("train", "run", str(toml)).stdout)
    assert told["stage"] == "psnr" and told["steps"] == 4
    again = vidsr("train", "run", str(toml), code=1)
    assert "holds checkpoints already" in again.stderr and "Traceback" not in again.stderr
    vidsr("train", "export", str(tmp_path / "run"), str(model))
    picture = tmp_path / "small.png"
    Image.fromarray(textured(9, 24, 32)).save(picture)
    vidsr("enhance", str(picture), "--model", str(model), "--output", str(tmp_path / "large.png"))
    with Image.open(tmp_path / "large.png") as large:
        assert large.size == (128, 96)


def test_broken_options_exit_with_2_and_all_faults(vidsr: Callable[..., Done], tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("[data]\nbatch = 0\n[rum]\nseed = 1\n")
    done = vidsr("train", "run", str(file), code=2)
    assert "rum: unknown, did you mean run?" in done.stderr and "Traceback" not in done.stderr
    assert "choose one of" in vidsr("train", "init", "--preset", "huge", str(tmp_path / "x.toml"), code=2).stderr
    vidsr("train", "init", str(tmp_path / "x.toml"))
    assert "already exists" in vidsr("train", "init", str(tmp_path / "x.toml"), code=1).stderr


def test_tiles_give_the_whole_pictures_result(small_options: Options, validation_folder: Path) -> None:
    from vidsr.training.trainer import Trainer

    network = Trainer(small_options()).generator.eval()
    low = torch.randint(0, 256, (1, 3, 50, 70), dtype=torch.uint8)
    whole, tiled = enlarge(network, low, 4, 4096), enlarge(network, low, 4, 32)
    assert whole.shape == (1, 3, 200, 280)
    assert (whole - tiled).abs().max() < 1e-3


def test_validation_says_what_is_wrong_before_training(tmp_path: Path, small_options: Options) -> None:
    from vidsr.training.options import ValidationOptions

    with pytest.raises(TrainingError, match="has no pictures"):
        Validation(ValidationOptions(folder=str(tmp_path / "none")), 4)
    Image.fromarray(textured(1, 64, 64)).save(tmp_path / "a_HR.png")
    Image.fromarray(textured(1, 15, 16)).save(tmp_path / "a_LR.png")
    with pytest.raises(TrainingError, match="16x15 times 4 is not the 64x64"):
        Validation(ValidationOptions(folder=str(tmp_path)), 4)


def test_dry_run_turns_a_lack_of_memory_into_advice(
    small_options: Options, validation_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidsr.training.trainer import Trainer

    trainer = Trainer(small_options(validation={"folder": str(validation_folder)}))

    def out_of_memory(*_: Any) -> Any:
        raise torch.OutOfMemoryError("2 GiB")

    monkeypatch.setattr(trainer.generator.conv_first, "forward", out_of_memory)
    with pytest.raises(TrainingError, match=r"lower \[validation\] tile"):
        trainer.run()
    assert checkpoints.listing(Path(trainer.options.run.folder) / "checkpoints") == []


def test_validation_scores_equal_evaluation(shared: Path) -> None:
    """Scores reported during training agree with published ones: bicubic on Set5 is 28.43 dB."""
    from vidsr.quality.bicubic import resize_bicubic_uint8
    from vidsr.training.options import ValidationOptions
    from vidsr.training.validation import scores_of

    examples = Validation(ValidationOptions(folder=str(shared / "data/Set5")), 4).examples
    scores = [scores_of(resize_bicubic_uint8(e.low, 4) / 255, e.high / 255, 4, None)["psnr_y"] for e in examples]
    assert len(scores) == 5
    assert sum(scores) / 5 == pytest.approx(28.43, abs=0.02)
