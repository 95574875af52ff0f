"""Forms in processes of their own: whatever they do there, this process goes on and knows what happened."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.support.processes import below
from vidsr.inference.forms.trial_process import FormTrialError, Maker, run_apart

Runner = Callable[[Tensor], Tensor]


def right(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Runner:
    there = network.to(device, dtype)
    return lambda rgb: there(rgb.to(dtype)).float()


def raising(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Runner:
    raise RuntimeError("no kernel image is available for execution on the device")


def killed(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Runner:
    return lambda rgb: os.abort()


def hanging(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Runner:
    time.sleep(1000)
    raise AssertionError


def doubling() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="nearest")


def tried(maker: Maker, limit_seconds: float = 100.0) -> Tensor:
    rgb = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return run_apart(maker, doubling(), torch.device("cpu"), torch.float32, rgb, limit_seconds)


def leftovers() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("vidsr-trial-*"))


def test_a_form_that_kills_its_process_is_named_by_the_signal() -> None:
    before = leftovers()
    with pytest.raises(FormTrialError, match="killed by SIGABRT"):
        tried(killed)
    assert leftovers() == before


def test_a_form_that_hangs_is_ended_with_its_process() -> None:
    with pytest.raises(FormTrialError, match="not done after 1 s in a process of its own"):
        tried(hanging, limit_seconds=1.0)
    assert not [what for _, what in below(os.getpid()) if "trial_process" in what]


@pytest.mark.long
def test_a_form_that_works_gives_its_picture_and_one_that_raises_its_reason() -> None:
    rgb = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(tried(right), doubling()(rgb))
    with pytest.raises(FormTrialError, match="RuntimeError: no kernel image is available"):
        tried(raising)
