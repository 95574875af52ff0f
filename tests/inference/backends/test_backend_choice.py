"""The C kernels are used after they have shown the plain network's picture on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.networks import tiny_rrdbnet
from vidsr.inference.backends import calibration
from vidsr.inference.backends.backend import TorchBackend
from vidsr.inference.backends.backend_choice import WinogradBackend


class Form:
    """What stands for the kernels: the plain network, changed by ``spoil``."""

    def __init__(self, network: Any, spoil: Callable[[Tensor], Tensor]) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._network, self._spoil = network, spoil

    def __call__(self, rgb: Tensor) -> Tensor:
        self.shapes.append(tuple(rgb.shape))
        return self._spoil(self._network(rgb))

    def bytes_per_pixel(self) -> float:
        return 1.0


def _raise(out: Tensor) -> Tensor:
    raise RuntimeError("illegal instruction")


@pytest.fixture
def rgb() -> Tensor:
    return torch.rand(1, 3, 60, 70, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda out: out + 0.01, "a different picture (40.0 dB)"),
        (lambda out: out * float("nan"), "a different picture (-inf dB)"),
        (_raise, "RuntimeError: illegal instruction"),
    ],
    ids=["wrong", "not finite", "raises"],
)
def test_kernels_that_give_another_picture_are_replaced_by_pytorch(
    spoil: Callable[[Tensor], Tensor], says: str, rgb: Tensor
) -> None:
    model = tiny_rrdbnet()
    backend = WinogradBackend(model, Form(model.network, spoil))
    with torch.inference_mode():
        got, want = backend(rgb), TorchBackend(model, torch.device("cpu"), "fp32")(rgb)
    assert torch.equal(got, want)
    assert backend.name == "torch"
    assert backend.notes == [f"the winograd form is not used here: {says}"]
    assert backend.bytes_per_pixel(60, 70) > 1.0


def test_right_kernels_are_compared_once_and_then_remembered(
    rgb: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_CACHE", str(tmp_path))
    tiny = tiny_rrdbnet()
    model = SimpleNamespace(network=tiny.network, architecture="RRDBNet", scale=4, sha256="ab")
    crop, whole = (1, 3, 48, 48), tuple(rgb.shape)
    for kernels, shapes in (("w-1", [crop, whole]), ("w-1", [whole]), ("w-2", [crop, whole]), ("", [crop, whole])):
        form = Form(tiny.network, lambda out: out + 1e-4)
        backend = WinogradBackend(model, form, kernels=kernels)
        with torch.inference_mode():
            backend(rgb)
        assert form.shapes == shapes, kernels
        assert backend.name == "winograd" and not backend.notes
    assert [one.trials[0].name for one in calibration.all_remembered()] == ["winograd"] * 2


def test_a_picture_without_a_finite_result_leaves_the_comparison_to_the_next(rgb: Tensor) -> None:
    model = tiny_rrdbnet()
    form = Form(model.network, lambda out: out)
    backend = WinogradBackend(model, form)
    with torch.inference_mode():
        backend(rgb * float("nan"))
        assert len(form.shapes) == 1
        backend(rgb)
    assert form.shapes[1:] == [(1, 3, 48, 48), tuple(rgb.shape)]
