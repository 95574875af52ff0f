"""The loop's keeping: the best checkpoint, changed options, fp16, full disks, Ctrl-C to a whole group of processes."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support import processes
from tests.support.places import child_environment
from tests.support.training import train_command
from vidsr.errors import DiskFullError, TrainingError
from vidsr.training import checkpoints
from vidsr.training.options import TrainOptions
from vidsr.training.trainer import Trainer, start

Options = Callable[..., TrainOptions]


def test_the_best_may_be_the_newest_and_is_of_its_own_stage(
    small_options: Options, validation_folder: Path, tmp_path: Path
) -> None:
    """The last checkpoint knows that it is the best itself; scores of stage psnr say nothing of stage gan."""
    options = small_options(
        psnr={"steps": 20, "learning_rate": 2e-3},
        gan={"steps": 20},
        run={"checkpoint_every": 5, "validate_every": 20, "keep": 9},
        validation={"folder": str(validation_folder)},
    )
    start(options, resume=False)
    folder = tmp_path / "run/checkpoints"
    states = {p.name: checkpoints.read(p).state for p in checkpoints.listing(folder)}
    assert states["psnr-00000020"]["best"]["psnr"][1] == "psnr-00000020"
    assert states["gan-00000005"]["scores"] == {} and "gan" not in states["gan-00000005"]["best"]
    assert states["gan-00000020"]["best"]["gan"][1] == "gan-00000020"
    from vidsr.training.export_run import export

    assert export(tmp_path / "run", tmp_path / "m.safetensors", which="best").name == "gan-00000020"
    (folder / "gan-00000025.part").mkdir()  # as of a run that is writing
    export(tmp_path / "run", tmp_path / "n.safetensors", which="best", stage="psnr")
    assert (folder / "gan-00000025.part").is_dir()


def test_resume_tells_which_options_changed(small_options: Options) -> None:
    start(small_options(), resume=False)
    trainer = Trainer(small_options(psnr={"steps": 6}, data={"batch": 3}))
    assert trainer.resume() == [
        "[data] batch was 2, is 3 from here on",
        "[psnr] steps was 4, is 6 from here on",
    ]
    trainer.run()
    assert trainer.step == 6


def test_infinite_gradients_of_fp16_are_a_fault_once_the_scaler_cannot_help(small_options: Options) -> None:
    trainer = Trainer(small_options(run={"precision": "fp16", "skip_limit": 2}, psnr={"steps": 9}))
    batch = [(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32))]
    trainer._psnr_step(batch)
    trainer.generator.conv_last.weight.register_hook(lambda gradient: gradient * float("inf"))
    factor = trainer.scaler.get_scale()
    trainer._psnr_step(batch)
    assert trainer.scaler.get_scale() == factor / 2 and trainer.guards.skipped == 0
    trainer.scaler.update(1.0)
    trainer._psnr_step(batch)
    with pytest.raises(TrainingError, match="2 steps in a row"):
        trainer._psnr_step(batch)


def test_a_disk_too_small_for_checkpoints_shows_before_training(
    small_options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1 << 20
    for free, said in ((10 * size, []), (3 * size, ["may need 5.0 MiB"])):
        monkeypatch.setattr(
            "vidsr.training.checkpoints.shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free)
        )
        told = list(checkpoints.check_room(tmp_path, size, 3))
        assert len(told) == len(said) and all(part in text for part, text in zip(said, told, strict=True))
    monkeypatch.setattr("vidsr.training.checkpoints.shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(DiskFullError, match="a checkpoint takes"):
        start(small_options(), resume=False)
    assert not (tmp_path / "run/log.jsonl").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_be_written_is_told(small_options: Options, tmp_path: Path) -> None:
    trainer = Trainer(small_options())
    (tmp_path / "run/log.jsonl").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="no space left"):
        trainer.run()


def test_sharpened_pictures_are_degraded_and_aimed_at_in_both_stages(small_options: Options) -> None:
    from vidsr.training.dataset.loader import Draw, Patches
    from vidsr.training.dataset.patch_store import PatchStore
    from vidsr.training.losses import sharpened

    options = small_options(psnr={"sharpen_target": True})
    trainer = Trainer(options)
    assert isinstance(trainer.store, PatchStore)
    patches, sharp = (
        Patches(trainer.store, options.data, options.degradation, Draw(seed=0, stage="psnr", scale=4, sharpen=s))
        for s in (False, True)
    )
    (low, high), (low_of_sharp, high_again) = patches[3, 1], sharp[3, 1]
    assert torch.equal(high, high_again), "the discriminator sees pictures as they are"
    assert low_of_sharp.float().std() > low.float().std()
    low, high = low[None].float() / 255, high[None].float() / 255
    wanted = (copy.deepcopy(trainer.generator)(low) - sharpened(high)).abs().mean()
    assert trainer._psnr_step([(low, high)])["l1"].item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.long
def test_ctrl_c_to_the_whole_group_spares_the_loading_processes(small_options: Options, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to every process; the step under way still gets its data."""
    # Slow data, so that the signal comes while the loop waits for them.
    options = small_options(
        psnr={"steps": 5000},
        run={"checkpoint_every": 5000, "log_every": 1},
        data={"workers": 1, "batch": 12},
        degradation={"recipe": "second_order", "codec": {"chance": 1.0, "codecs": {"h265": 1.0}, "presets": ["slow"]}},
    )
    log, command = tmp_path / "run/log.jsonl", train_command(options, tmp_path, "run")
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with processes.started(command, env=child_environment(), **pipes) as process:
        processes.wait_until(log.exists, "the first step is in the log", child=process)
        os.killpg(process.pid, signal.SIGINT)
        error = process.communicate(timeout=processes.LIMIT_SECONDS)[1].decode()
    assert process.returncode == 130 and "Traceback" not in error, error
    assert len(checkpoints.listing(tmp_path / "run/checkpoints")) == 1


class CompilerError(RuntimeError):
    """As torch's own, without the minute that they take to import and to provoke."""

    __module__ = "torch._inductor.exc"


def test_a_compiler_that_fails_is_told_with_the_way_out(
    small_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Compiled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise CompilerError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda network: Compiled())
    with pytest.raises(TrainingError, match=r"set \[run\] compile = false \(no compiler\)"):
        start(small_options(run={"compile": True}), resume=False)
