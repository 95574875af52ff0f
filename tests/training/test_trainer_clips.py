"""The loop on clips: truncated back-propagation, resume, several processes, discriminators that see time, a teacher."""

from __future__ import annotations

import copy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.training import (
    assert_two_processes_equal_one,
    moving,
    train_with_kills,
    write_clips,
)
from vidsr.cli.main import run
from vidsr.filters.after.last_result import known_from
from vidsr.models import checkpoint, saving
from vidsr.models.architectures.recurrent_compact import RecurrentCompact
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.training import checkpoints
from vidsr.training.export_run import export
from vidsr.training.options import TrainOptions
from vidsr.training.trainer import Trainer, start

Options = Callable[..., TrainOptions]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "set", 4, 7, 48)


@pytest.fixture
def clip_options(small_options: Options, clips: Path) -> Options:
    """Options of a tiny recurrent run, tables overridden by name."""

    def make(**tables: dict[str, Any]) -> TrainOptions:
        merged: dict[str, dict[str, Any]] = {
            "data": {"dataset": str(clips), "frames": 5},
            "degradation": {"recipe": "bicubic"},
            "generator": {"architecture": "RecurrentCompact", "num_block": 1, "new_rate": 5.0},
            "psnr": {"pixel": "charbonnier", "warping_weight": 0.5, "through": 2},
            "gan": {"discriminator": "triplets", "loss": "vanilla", "ping_pong_weight": 0.1, "artefact_weight": 0.5},
        }
        for name, values in tables.items():
            merged[name] = {**merged.get(name, {}), **values}
        return small_options(**merged)

    return make


def batch(frames: int = 5, count: int = 1) -> tuple[Tensor, Tensor]:
    """Clips ``[count, frames, 3, 8, 8]`` and ``[…, 32, 32]`` in 0..1."""
    high = (
        torch.stack([torch.from_numpy(moving(n, frames, 32)).permute(0, 3, 1, 2) for n in range(count)]).float() / 255
    )
    low = torch.nn.functional.avg_pool2d(high.flatten(0, 1), 4).unflatten(0, high.shape[:2])
    return low, high


def by_hand(network: Any, low: Tensor, high: Tensor, through: int) -> float:
    """Charbonnier of a clip, frame by frame, the gradient cut after every ``through`` frames; gradients in
    ``network``."""
    total, last = 0.0, None
    for t in range(low.shape[1]):
        if last is not None and t % through == 0:
            last = last.detach()
        last = network(low[:, t] if last is None else known_from(low[:, t], low[:, t - 1], last))
        loss = ((last - high[:, t]).square() + 1e-6).sqrt().mean() / low.shape[1]
        loss.backward(retain_graph=True)
        total += loss.item()
    return total


def opened(trainer: Trainer) -> Any:
    """The generator, its gate open, so that time matters from the first step on."""
    network = trainer.generator
    with torch.no_grad():
        network.gate.bias.fill_(0.6)
        network.carry.weight.normal_(0, 0.05)
    return network


@pytest.mark.parametrize("through", [1, 2, 5])
def test_gradients_run_back_as_far_as_they_should(clip_options: Options, through: int) -> None:
    options = clip_options(psnr={"warping_weight": 0.0, "through": through})
    trainer = Trainer(options)
    low, high = batch(count=2)
    mine = copy.deepcopy(opened(trainer))
    wanted = by_hand(mine, low, high, through)
    trainer.settings = options.psnr
    trainer._take_step = lambda networks, losses: None  # type: ignore[method-assign]
    assert trainer._psnr_step([(low, high)])["charbonnier"].item() == pytest.approx(wanted, rel=1e-5)
    for (name, p), q in zip(trainer.generator.named_parameters(), mine.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-6), name
    other = copy.deepcopy(mine)
    other.zero_grad()
    by_hand(other, low, high, 5 if through != 5 else 1)
    assert not torch.allclose(other.body[0].weight.grad, mine.body[0].weight.grad, rtol=1e-3, atol=1e-6)


def test_a_gan_step_on_clips_moves_both_networks(clip_options: Options) -> None:
    trainer = Trainer(clip_options(psnr={"steps": 0}, gan={"steps": 2, "perceptual_weight": 0.0}))
    opened(trainer)
    before = [copy.deepcopy(network.state_dict()) for network in (trainer.generator, trainer.discriminator)]
    values = trainer._gan_step([batch()])
    assert values.keys() == {"l1", "artefacts", "ping_pong", "adversarial", "discriminator", "real", "fake"}
    for network, old in zip((trainer.generator, trainer.discriminator), before, strict=True):
        assert any(not torch.equal(v, old[k]) for k, v in network.state_dict().items())


def test_a_step_of_each_other_kind(clip_options: Options) -> None:
    for tables in (
        {"generator": {"architecture": "SRVGGNetCompact"}},
        {"generator": {"architecture": "EFDN", "num_grow_ch": 4}},
        {"generator": {"architecture": "BasicVSR"}, "psnr": {"through": 0}},
    ):
        trainer = Trainer(clip_options(**tables))
        assert trainer._psnr_step([batch()])["charbonnier"] > 0


def test_it_starts_as_the_still_model(clip_options: Options, tmp_path: Path) -> None:
    torch.manual_seed(1)
    still = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=1))
    saving.save(tmp_path / "still.safetensors", still.state_dict(), {})
    trainer = Trainer(clip_options(generator={"start_from": str(tmp_path / "still.safetensors")}))
    low, _ = batch()
    results, _ = trainer.forward(low)
    # It has more input channels, of weight 0: on some processors the sums come out in another order.
    assert torch.allclose(results[0], still(low[0].contiguous(memory_format=torch.channels_last)), rtol=0, atol=1e-6)
    rates = [group["multiple"] for group in trainer.optimisers["generator"].param_groups]
    assert rates == [1.0, 5.0] and len(trainer.optimisers["generator"].param_groups[1]["params"]) == 3


def test_a_short_run_is_measured_on_clips_and_exported(clip_options: Options, clips: Path, tmp_path: Path) -> None:
    options = clip_options(
        psnr={"steps": 4, "learning_rate": 1e-3},
        validation={"clips": str(clips), "clip_limit": 1},
        run={"validate_every": 4},
    )
    scores = start(options, resume=False)["scores"]
    assert scores["psnr_y"] > 0 and scores["warping_error"] > 0
    export(tmp_path / "run", tmp_path / "mine.safetensors", which="best")
    model = checkpoint.load(tmp_path / "mine.safetensors")
    assert isinstance(model.network, RecurrentCompact) and model.network.carry.weight.any()
    assert model.card["architecture"] == "RecurrentCompact" and model.card["validation"] == "set"


@pytest.mark.parametrize("as_it_is", [True, False])
def test_a_teacher_takes_the_place_of_the_originals(clip_options: Options, tmp_path: Path, as_it_is: bool) -> None:
    torch.manual_seed(2)
    saving.save(
        tmp_path / "teacher.safetensors",
        SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=4, num_conv=1)).state_dict(),
        {},
    )
    options = clip_options(distil={"teacher": str(tmp_path / "teacher.safetensors"), "as_it_is": as_it_is})
    trainer = Trainer(options)
    low, high = (x.mul(255).round().to(torch.uint8) for x in batch())
    seen, target = trainer._to_device((low, high))
    assert torch.equal(seen, (high[..., :8, :8] if as_it_is else low).float() / 255)
    network = checkpoint.load(tmp_path / "teacher.safetensors").network
    assert torch.allclose(target[:, 0], network(seen[:, 0]).clamp(0, 1), atol=1e-6), "nothing is before the first frame"
    assert not torch.allclose(target[:, 4], network(seen[:, 4]).clamp(0, 1), atol=1e-4), "later ones are steadied"
    assert trainer._psnr_step([(seen, target)])["charbonnier"] > 0


@pytest.mark.long
def test_resume_after_kill_equals_uninterrupted(clip_options: Options, tmp_path: Path) -> None:
    """Both stages of a recurrent run, killed in the middle of each: every tensor bit for bit."""
    tables: dict[str, Any] = {"psnr": {"steps": 12}, "gan": {"steps": 12}}
    whole = clip_options(run={"folder": str(tmp_path / "whole"), "checkpoint_every": 3}, **tables)
    broken = clip_options(run={"folder": str(tmp_path / "broken"), "checkpoint_every": 3}, **tables)
    start(whole, resume=False)
    folder = tmp_path / "broken" / "checkpoints"
    first, second, last = train_with_kills(broken, tmp_path, folder, "psnr-00000006", "gan-00000006")
    assert first[0] == second[0] == str(-signal.SIGKILL)
    assert "psnr-00000006" <= first[1] < "psnr-00000012" and "gan-00000006" <= second[1] < "gan-00000012"
    assert last == ["0", "gan-00000012"]
    for name in ("psnr-00000012", "gan-00000012"):
        one, other = (checkpoints.read(tmp_path / f / "checkpoints" / name) for f in ("whole", "broken"))
        assert one.tensors.keys() == other.tensors.keys()
        for group, tensors in one.tensors.items():
            assert all(torch.equal(t, other.tensors[group][key]) for key, t in tensors.items()), f"{name} {group}"
    assert one.tensors["generator"]["gate.bias"].any()


@pytest.mark.long
@pytest.mark.parametrize("stage", ["psnr", "gan"])
def test_two_processes_equal_one_with_the_doubled_batch(clip_options: Options, tmp_path: Path, stage: str) -> None:
    assert_two_processes_equal_one(clip_options, tmp_path, stage, 2e-5)


def test_init_says_early_which_network_a_loss_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.models.zoo.locate", lambda entry: None)
    assert run(["train", "init", "--preset", "recurrent", str(tmp_path / "train.toml")]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "stage psnr needs lpips-vgg16" in said and "lpips_weight = 0 in [psnr]" in said
