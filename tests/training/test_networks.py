"""Discriminators, initialisation and the average of weights."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.training import run_in_two_processes
from vidsr.errors import TrainingError
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.training.discriminators import UNet, Vgg128
from vidsr.training.networks import Average, initialise


def test_vgg128_has_the_published_shape() -> None:
    """Number of weights as counted from the published table of layers."""
    network = Vgg128(64)
    pairs = [(3, 64, 1), (64, 64, 0), (64, 128, 0), (128, 128, 0), (128, 256, 0), (256, 256, 0)]
    pairs += [(256, 512, 0), (512, 512, 0), (512, 512, 0), (512, 512, 0)]
    convolutions = sum(a * b * (9 if i % 2 == 0 else 16) + b * bias for i, (a, b, bias) in enumerate(pairs))
    norms = 2 * (64 + 128 * 2 + 256 * 2 + 512 * 4)
    linear = 512 * 16 * 100 + 100 + 100 + 1
    assert sum(p.numel() for p in network.parameters()) == convolutions + norms + linear
    assert Vgg128(4)(torch.rand(2, 3, 128, 128)).shape == (2, 1)
    with pytest.raises(TrainingError, match="128x128"):
        network(torch.rand(1, 3, 96, 96))


@pytest.mark.parametrize("size", [(32, 32), (64, 40)])
def test_unet_gives_a_logit_for_every_pixel(size: tuple[int, int]) -> None:
    assert UNet(8)(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_unet_spectral_norm_bounds_the_layers() -> None:
    """After a few power iterations the largest singular value of each normalised weight is 1."""
    network = UNet(8)
    for _ in range(30):
        network(torch.rand(1, 3, 16, 16))
    network.eval()
    for module in (*network.down, *network.up, *network.last):
        top = torch.linalg.matrix_norm(module.weight.flatten(1), ord=2).item()
        assert top == pytest.approx(1, abs=0.05)
    assert hasattr(network.conv0, "weight") and not nn.utils.parametrize.is_parametrized(network.conv0)


def test_initialisation_scales_dense_blocks_only() -> None:
    network = RRDBNet(RRDBNetConfig(num_feat=32, num_block=1, num_grow_ch=16))
    initialise(network, 0.1, torch.Generator().manual_seed(0))

    def spread(conv: Any) -> float:
        return conv.weight.std().item() / math.sqrt(2 / (conv.in_channels * 9))

    assert spread(network.body[0].rdb1.conv3) == pytest.approx(0.1, rel=0.05)
    assert spread(network.conv_body) == pytest.approx(1, rel=0.05)
    assert all(m.bias.abs().sum() == 0 for m in network.modules() if isinstance(m, nn.Conv2d))


def test_average_follows_its_equation() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = Average(network, 0.9)
    expected = 1.0
    for step in range(100):
        nn.init.constant_(network.weight, float(step))
        average.update(network, step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_average_switched_off_is_the_weights_themselves() -> None:
    network = nn.Linear(2, 2)
    average = Average(network, 0.0)
    nn.init.constant_(network.weight, 0.3)
    average.update(network, 7)
    assert torch.equal(average.weights["weight"], network.weight)


_SHARED = """
import os, sys, torch
from vidsr.training import distributed
from vidsr.training.discriminators import Vgg128
from vidsr.training.losses import RelativisticAverage

rank = int(os.environ.get("RANK", "-1"))
if rank >= 0:
    distributed.join(torch.device("cpu"), 0)
torch.manual_seed(0)
network = Vgg128(4)
high, fake = torch.rand(2, 4, 3, 128, 128)
if rank >= 0:
    high, fake = (x[2 * rank : 2 * rank + 2] for x in (high, fake))
judge = distributed.wrapped(network)
RelativisticAverage().discriminator(judge(high), judge(fake)).backward()
values = {k: p.grad for k, p in network.named_parameters()} | dict(network.named_buffers())
if rank < 1:
    torch.save(values, sys.argv[1])
del judge
distributed.leave()
"""


@pytest.mark.long
def test_batch_norm_of_two_processes_is_that_of_the_doubled_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients and running means of the VGG discriminator under the relativistic loss, in fp32."""
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "one")])
    exec(_SHARED, {})
    run_in_two_processes(_SHARED, tmp_path / "two")
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("one", "two"))
    assert "features.3.running_var" in one
    for key, value in one.items():
        assert torch.allclose(value.float(), two[key].float(), rtol=1e-4, atol=1e-5), key
