"""The loop: resume, several processes, one step by hand, guards, checkpoints."""

from __future__ import annotations

import copy
import errno
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import processes
from tests.support.places import child_environment
from tests.support.training import (
    TORCHRUN,
    assert_two_processes_equal_one,
    train_arguments,
    train_command,
    train_with_kills,
)
from vidsr.cli.main import run
from vidsr.errors import DiskFullError, ModelError, TrainingError
from vidsr.training import checkpoints
from vidsr.training.guards import Guards
from vidsr.training.options import StageOptions, TrainOptions
from vidsr.training.trainer import Trainer, learning_rate, start

Options = Callable[..., TrainOptions]


@pytest.mark.long
def test_resume_after_kill_equals_uninterrupted(small_options: Options, tmp_path: Path) -> None:
    """20 steps of each stage at once, against kills after 10 of each: all tensors and random states bit-equal."""
    tables = {"psnr": {"steps": 20}, "gan": {"steps": 20}, "data": {"workers": 0}}
    whole = small_options(run={"folder": str(tmp_path / "whole"), "checkpoint_every": 5}, **tables)
    broken = small_options(run={"folder": str(tmp_path / "broken"), "checkpoint_every": 5}, **tables)
    start(whole, resume=False)
    folder = tmp_path / "broken" / "checkpoints"
    first, second, last = train_with_kills(broken, tmp_path, folder, "psnr-00000010", "gan-00000010")
    assert first[0] == second[0] == str(-signal.SIGKILL)
    assert "psnr-00000010" <= first[1] < "psnr-00000020", "it was killed in the middle of the stage"
    assert "gan-00000010" <= second[1] < "gan-00000020"
    assert last == ["0", "gan-00000020"]
    for name in ("psnr-00000020", "gan-00000020"):
        one, other = (checkpoints.read(tmp_path / f / "checkpoints" / name) for f in ("whole", "broken"))
        assert one.tensors.keys() == other.tensors.keys()
        for group, tensors in one.tensors.items():
            for key, tensor in tensors.items():
                assert torch.equal(tensor, other.tensors[group][key]), f"{name} {group} {key}"
        assert one.state["random"] == other.state["random"]
        assert one.state["guards"] == other.state["guards"]


# With a relativistic loss the last bias of the discriminator cancels out: its gradient is rounding noise, which
# Adam turns into whole steps. It is the one weight that cannot be compared.
CANCELS = "out.bias"


@pytest.mark.parametrize(
    "stage", [pytest.param("psnr", marks=pytest.mark.slow), pytest.param("gan", marks=pytest.mark.long)]
)
def test_two_processes_equal_one_with_the_doubled_batch(small_options: Options, tmp_path: Path, stage: str) -> None:
    assert_two_processes_equal_one(small_options, tmp_path, stage, 1e-5, incomparable={CANCELS})


def test_accumulated_batches_equal_one_large_batch(small_options: Options, tmp_path: Path) -> None:
    results = []
    for batch, accumulate in ((4, 1), (2, 2)):
        options = small_options(
            run={"folder": str(tmp_path / str(batch))}, data={"batch": batch, "accumulate": accumulate}
        )
        trainer = Trainer(options)
        trainer.run()
        results.append(trainer.generator.state_dict())
    assert all(torch.allclose(v, results[1][k], rtol=0, atol=1e-5) for k, v in results[0].items())


def _adam_first_step(weight: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """Adam's first step: both averages are corrected to the gradient itself, so it is rate · g / (|g| + ε)."""
    return weight - rate * gradient / (gradient.abs() + 1e-8)


def test_one_gan_step_against_the_equations_by_hand(small_options: Options) -> None:
    """Relativistic average GAN and L1 with their weights, written out; the weights after Adam's first step."""
    options = small_options(
        psnr={"steps": 0},
        gan={"steps": 1, "learning_rate": 1e-4, "gan_weight": 0.3, "pixel_weight": 0.7},
    )
    trainer = Trainer(options)
    generator, critic = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    assert critic is not None and trainer.discriminator is not None
    critic.requires_grad_(False)
    low, high = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32)

    fake_picture = generator(low)
    # In the loop's own order: the spectral norm takes one power iteration with every call.
    fake = critic(fake_picture)
    real = critic(high)
    loss_g = 0.7 * (fake_picture - high).abs().mean() + 0.3 * 0.5 * (
        -torch.log(1 - torch.sigmoid(real - fake.mean())).mean() - torch.log(torch.sigmoid(fake - real.mean())).mean()
    )
    wanted_g = torch.autograd.grad(loss_g, list(generator.parameters()))
    critic.requires_grad_(True)
    c_real, c_fake = critic(high), critic(fake_picture.detach())
    loss_d = 0.5 * (
        -torch.log(torch.sigmoid(c_real - c_fake.mean())).mean()
        - torch.log(1 - torch.sigmoid(c_fake - c_real.mean())).mean()
    )
    wanted_d = torch.autograd.grad(loss_d, list(critic.parameters()))
    rate = learning_rate(options.gan, 0)
    expected_g = [_adam_first_step(p, g, rate) for p, g in zip(generator.parameters(), wanted_g, strict=True)]
    expected_d = [_adam_first_step(p, g, rate) for p, g in zip(critic.parameters(), wanted_d, strict=True)]

    values = trainer._gan_step([(low, high)])
    assert values["l1"].item() == pytest.approx(0.7 * (fake_picture - high).abs().mean().item(), rel=1e-5)
    assert values["discriminator"].item() == pytest.approx(loss_d.item(), rel=1e-4)
    assert values["l1"].item() + values["adversarial"].item() == pytest.approx(loss_g.item(), rel=1e-4)
    for got, wanted in zip(trainer.generator.parameters(), expected_g, strict=True):
        assert torch.allclose(got, wanted, rtol=0, atol=1e-5)
    for (name, got), wanted in zip(trainer.discriminator.named_parameters(), expected_d, strict=True):
        assert name == CANCELS or torch.allclose(got, wanted, rtol=0, atol=1e-5)


def test_training_lowers_the_loss(small_options: Options, validation_folder: Path, tmp_path: Path) -> None:
    options = small_options(
        psnr={"steps": 120, "learning_rate": 2e-3, "schedule": "cosine"},
        run={"log_every": 1, "validate_every": 60},
        validation={"folder": str(validation_folder)},
    )
    result = start(options, resume=False)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = [line["l1"] for line in lines if "l1" in line]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    scores = [line["val_psnr_y"] for line in lines if "val_psnr_y" in line]
    assert len(scores) == 2 and scores[1] > scores[0] > 0
    assert result["scores"]["psnr_y"] == scores[1]
    assert {"seconds_data", "seconds_generator", "learning_rate", "skipped"} <= lines[0].keys()


def test_learning_rate_schedules() -> None:
    steps = StageOptions(steps=100, learning_rate=1.0, warmup=10, milestones=(50, 80))
    assert [learning_rate(steps, s) for s in (0, 9, 10, 49, 50, 80)] == pytest.approx([0.1, 1, 1, 1, 0.5, 0.25])
    cosine = StageOptions(steps=110, learning_rate=2.0, warmup=10, schedule="cosine", floor=0.1)
    assert [learning_rate(cosine, s) for s in (10, 60, 110)] == pytest.approx([2.0, 1.1, 0.2])


def test_a_step_that_is_no_number_is_left_out_and_then_stops(small_options: Options) -> None:
    trainer = Trainer(small_options(run={"skip_limit": 3}, psnr={"steps": 20}))
    before = {k: v.clone() for k, v in trainer.generator.state_dict().items()}
    bad = (torch.full((2, 3, 8, 8), float("nan")), torch.rand(2, 3, 32, 32))
    trainer._psnr_step([bad])
    assert trainer.guards.skipped == 1
    assert all(torch.equal(v, before[k]) for k, v in trainer.generator.state_dict().items())
    good = (torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32))
    trainer._psnr_step([good])
    assert trainer.guards.skipped_in_a_row == 0
    with pytest.raises(TrainingError, match="3 steps in a row"):
        for _ in range(3):
            trainer._psnr_step([bad])


def test_no_checkpoint_is_written_of_weights_that_are_no_numbers(small_options: Options, tmp_path: Path) -> None:
    trainer = Trainer(small_options())
    trainer.save()
    with torch.no_grad():
        trainer.generator.conv_first.weight[0] = float("inf")
    trainer.step = 1
    with pytest.raises(TrainingError, match="not finite numbers"):
        trainer.save()
    assert [p.name for p in (tmp_path / "run/checkpoints").iterdir()] == ["psnr-00000000"]


def test_a_full_disk_loses_no_checkpoint(
    small_options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(small_options())
    trainer.save()
    first = checkpoints.read(tmp_path / "run/checkpoints/psnr-00000000")
    real_fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr("vidsr.storage.os.fsync", full)
    trainer.step = 1
    with pytest.raises(DiskFullError, match="no space"):
        trainer.save()
    monkeypatch.undo()
    found, path, troubles = checkpoints.latest(tmp_path / "run/checkpoints")
    assert path.name == "psnr-00000000" and troubles == []
    assert all(torch.equal(v, found.tensors["generator"][k]) for k, v in first.tensors["generator"].items())
    assert [p.name for p in (tmp_path / "run/checkpoints").iterdir()] == ["psnr-00000000"]


def test_a_damaged_newest_checkpoint_is_passed_over(small_options: Options, tmp_path: Path) -> None:
    options = small_options(psnr={"steps": 20})
    start(options, resume=False)
    newest = tmp_path / "run/checkpoints/psnr-00000020/generator.safetensors"
    data = bytearray(newest.read_bytes())
    data[-5] ^= 0xFF
    newest.write_bytes(data)
    trainer = Trainer(options)
    troubles = trainer.resume()
    assert trainer.step == 10
    assert len(troubles) == 1 and "passed over: " in troubles[0] and "is damaged" in troubles[0]


def test_checkpoints_roll_and_the_best_stays(small_options: Options, validation_folder: Path, tmp_path: Path) -> None:
    options = small_options(
        psnr={"steps": 50},
        run={"keep": 2, "checkpoint_every": 10, "validate_every": 50},
        validation={"folder": str(validation_folder)},
    )
    trainer = Trainer(options)
    trainer.best["psnr"] = (99.0, "psnr-00000010")
    trainer.run()
    names = [p.name for p in checkpoints.listing(tmp_path / "run/checkpoints")]
    assert names == ["psnr-00000010", "psnr-00000040", "psnr-00000050"]


def test_run_refuses_a_folder_with_checkpoints_and_resume_one_without(small_options: Options) -> None:
    options = small_options()
    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        start(options, resume=True)
    start(options, resume=False)
    with pytest.raises(TrainingError, match="holds checkpoints already"):
        start(options, resume=False)


def test_resume_with_another_structure_says_so(small_options: Options) -> None:
    start(small_options(), resume=False)
    with pytest.raises(TrainingError, match="does not fit these options"):
        start(small_options(generator={"num_feat": 12}), resume=True)


def test_alarms_for_drift_and_for_a_discriminator_that_wins() -> None:
    guards = Guards(skip_limit=3)
    target = torch.full((1, 3, 4, 4), 0.5)
    result = target.clone()
    result[:, 2] += 0.2
    alarms = [text for _ in range(300) for text in guards.watch(result, target, torch.tensor(0.001))]
    alarms += [text for _ in range(400) for text in guards.watch(target, target, torch.tensor(0.001))]
    assert len(alarms) == 2
    assert any("blue is off by +" in alarm for alarm in alarms)
    assert any("discriminator wins" in alarm for alarm in alarms)


def test_start_from_takes_fitting_weights_only(small_options: Options, tmp_path: Path) -> None:
    from vidsr.training.export_run import export

    start(small_options(), resume=False)
    export(tmp_path / "run", tmp_path / "m.safetensors")
    again = Trainer(small_options(generator={"start_from": str(tmp_path / "m.safetensors")}))
    found = checkpoints.read(tmp_path / "run/checkpoints/psnr-00000004").tensors["average"]
    assert all(torch.equal(v, found[k]) for k, v in again.generator.state_dict().items())
    with pytest.raises(TrainingError, match="asks for"):
        Trainer(small_options(generator={"start_from": str(tmp_path / "m.safetensors"), "num_grow_ch": 8}))


def test_missing_vgg_weights_show_before_the_first_stage(small_options: Options, tmp_path: Path) -> None:
    gan = {"steps": 5, "perceptual_weight": 1.0, "vgg": "vgg19"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDSR_WEIGHTS", str(tmp_path))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(ModelError, match="vidsr models fetch vgg19"):
            Trainer(small_options(gan=gan))
    with pytest.raises(ModelError, match="no such weights file"):
        Trainer(small_options(gan={**gan, "vgg": str(tmp_path / "none.pth")}))


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_other_scales_train(small_options: Options, scale: int) -> None:
    result = start(small_options(generator={"scale": scale}, psnr={"steps": 2}), resume=False)
    assert result["steps"] == 2


@pytest.mark.long
def test_bf16_and_second_order_with_worker_processes(small_options: Options) -> None:
    options = small_options(
        run={"precision": "bf16"},
        data={"workers": 1},
        degradation={"recipe": "second_order", "codec": {"chance": 0.5}},
        psnr={"steps": 2},
        gan={"steps": 2, "loss": "vanilla", "sharpen_target": True},
    )
    assert start(options, resume=False)["stage"] == "gan"


def test_ctrl_c_saves_and_resume_goes_on_from_there(
    small_options: Options, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = small_options(psnr={"steps": 5000}, run={"checkpoint_every": 5000})

    def press() -> None:
        processes.wait_until((tmp_path / "run/log.jsonl").exists, "the first step is in the log")
        signal.raise_signal(signal.SIGINT)

    terminal = threading.Thread(target=press)
    terminal.start()
    assert run(train_arguments(options, tmp_path, "run")) == 130
    processes.join(terminal)
    error = capfd.readouterr().err
    assert "stopped and saved at psnr step" in error and "Traceback" not in error
    _check_saved(options, tmp_path)


@pytest.mark.long
def test_ctrl_c_to_torchrun_saves_too(small_options: Options, tmp_path: Path) -> None:
    options = small_options(psnr={"steps": 5000}, run={"checkpoint_every": 5000})
    command = train_command(options, tmp_path, "run", *TORCHRUN)
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with processes.started(command, env=child_environment(), **pipes) as process:
        processes.wait_until((tmp_path / "run/log.jsonl").exists, "the first step is in the log", child=process)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=processes.LIMIT_SECONDS)[1].decode()
    assert "stopped and saved at psnr step" in error  # its exit code is 1, after a traceback that names the signal
    _check_saved(options, tmp_path)


def _check_saved(options: TrainOptions, folder: Path) -> None:
    (saved,) = checkpoints.listing(folder / "run/checkpoints")
    trainer = Trainer(options)
    assert trainer.resume() == []
    assert 2 <= trainer.step == int(saved.name.split("-")[1]) < 5000


def test_tensorboard_gets_curves_and_pictures(small_options: Options, validation_folder: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = small_options(
        psnr={"steps": 10}, run={"tensorboard": True}, validation={"folder": str(validation_folder)}
    )
    start(options, resume=False)
    events = accumulator.EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("psnr/l1")] == [2, 4, 6, 8, 10]
    assert [e.step for e in events.Scalars("psnr/val_psnr_y")] == [10]
    picture = events.Images("psnr/100")[0]
    assert (picture.width, picture.height) == (80, 64)
