"""Each loss and its gradient against a few lines of independent numpy; gradients by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidsr.errors import CheckpointError
from vidsr.training.losses import ADVERSARIAL, pixel_loss, sharpened
from vidsr.training.perceptual import Perceptual, layer_numbers


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.log1p(np.exp(-x))


def _expected(name: str, real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """(L_D, L_G) straight from the papers' equations."""
    if name == "vanilla":
        return -_log_sigmoid(real).mean() - _log_sigmoid(-fake).mean(), -_log_sigmoid(fake).mean()
    if name == "lsgan":
        return ((real - 1) ** 2).mean() + (fake**2).mean(), ((fake - 1) ** 2).mean()
    d_rf, d_fr = 1 / (1 + np.exp(-(real - fake.mean()))), 1 / (1 + np.exp(-(fake - real.mean())))
    of_d = -np.log(d_rf).mean() - np.log(1 - d_fr).mean()
    of_g = -np.log(1 - d_rf).mean() - np.log(d_fr).mean()
    return of_d / 2, of_g / 2


def _numeric(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        gradient[i] = (function(up) - function(down)) / 2e-5
    return gradient


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
def test_adversarial_values_and_gradients(name: str) -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(4, 1)) * 2, rng.normal(size=(4, 1)) * 2
    loss = ADVERSARIAL[name]()
    r, f = (torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in (real, fake))
    of_d = loss.discriminator(r, f)
    assert of_d.item() == pytest.approx(_expected(name, real, fake)[0], rel=1e-5)
    of_d.backward()
    assert np.allclose(r.grad.numpy(), _numeric(lambda v: _expected(name, v, fake)[0], real), atol=1e-5)
    assert np.allclose(f.grad.numpy(), _numeric(lambda v: _expected(name, real, v)[0], fake), atol=1e-5)
    r.grad = f.grad = None
    of_g = loss.generator(r, f)
    assert of_g.item() == pytest.approx(_expected(name, real, fake)[1], rel=1e-5)
    of_g.backward()
    assert r.grad is None, "real pictures give the generator no gradient"
    assert f.grad is not None
    assert np.allclose(f.grad.numpy(), _numeric(lambda v: _expected(name, real, v)[1], fake), atol=1e-5)


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
def test_extreme_logits_stay_finite(name: str) -> None:
    far = torch.full((2, 1), 1e4)
    loss = ADVERSARIAL[name]()
    assert torch.isfinite(loss.discriminator(-far, far))
    assert torch.isfinite(loss.generator(far, -far))


def test_pixel_loss() -> None:
    a, b = torch.tensor([[0.0, 1.0]], requires_grad=True), torch.tensor([[0.5, 0.25]])
    loss = pixel_loss(a, b)
    loss.backward()
    assert loss.item() == pytest.approx((0.5 + 0.75) / 2)
    assert a.grad.tolist() == [[-0.5, 0.5]]


def test_sharpened_raises_edges_and_leaves_flat_areas() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32:] = 0.5
    picture += 0.2
    sharp = sharpened(picture)
    assert sharp[0, 0, 32, 32] > picture[0, 0, 32, 32] + 0.05
    assert sharp[0, 0, 32, 31] < picture[0, 0, 32, 31] - 0.05
    flat = torch.full((1, 3, 40, 40), 0.3)
    assert torch.allclose(sharpened(flat), flat, atol=1e-6)


def _vgg_file(folder: Path, counts: tuple[int, ...]) -> tuple[Path, dict[str, torch.Tensor]]:
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    tensors, channels = {}, 3
    widths = [w for w, n in zip((64, 128, 256, 512, 512), counts, strict=True) for _ in range(n)]
    for place, width in zip(layer_numbers(counts).values(), widths, strict=True):
        tensors[f"features.{place}.weight"] = torch.randn(width, channels, 3, 3, generator=generator) * 0.03
        tensors[f"features.{place}.bias"] = torch.randn(width, generator=generator) * 0.1
        channels = width
    path = folder / "vgg.safetensors"
    save_file(tensors, path)
    return path, tensors


def test_layer_numbers_are_torchvisions() -> None:
    vgg19 = layer_numbers((2, 2, 4, 4, 4))
    assert (vgg19["conv1_2"], vgg19["conv2_2"], vgg19["conv3_4"], vgg19["conv4_4"], vgg19["conv5_4"]) == (
        2,
        7,
        16,
        25,
        34,
    )
    assert layer_numbers((2, 2, 3, 3, 3))["conv5_3"] == 28


def test_perceptual_vgg19_before_activation(tmp_path: Path) -> None:
    """Against the chain written out: convolution, ReLU, pooling; the layers' values are taken before the ReLU."""
    path, tensors = _vgg_file(tmp_path, (2, 2, 4, 4, 4))
    a, b = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)

    def features(x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
            :, None, None
        ]
        found, place = {}, 0
        for block, count in enumerate((2, 2, 4, 4, 4), 1):
            for conv in range(1, count + 1):
                x = F.conv2d(x, tensors[f"features.{place}.weight"], tensors[f"features.{place}.bias"], padding=1)
                found[f"conv{block}_{conv}"] = x
                x, place = F.relu(x), place + 2
            x, place = F.max_pool2d(x, 2), place + 1
        return found

    weights = {"conv1_2": 0.1, "conv3_4": 0.5, "conv5_4": 1.0}
    loss = Perceptual(path, weights)
    mine = a.clone().requires_grad_()
    got = loss(mine, b)
    got.backward()
    theirs = a.clone().requires_grad_()
    fa, fb = features(theirs), features(b)
    wanted = sum(w * (fa[n] - fb[n]).abs().mean() for n, w in weights.items())
    wanted.backward()
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert mine.grad is not None and theirs.grad is not None
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)
    assert not any(p.requires_grad for p in loss.parameters())
    assert loss(b, b).item() == 0


def test_perceptual_takes_the_real_vgg16(shared: Path) -> None:
    """A blurred picture is farther away than one with a hardly visible change of brightness."""
    loss = Perceptual(shared / "weights/lpips-vgg16.fp16.safetensors", {"conv4_3": 1.0})
    from vidsr.training.dataset.image_files import read_rgb

    picture = (
        torch.from_numpy(read_rgb(shared / "data/Set5/img_003_SRF_4_HR.png")).permute(2, 0, 1)[None, :, :64, :64] / 255
    )
    blurred = F.avg_pool2d(F.pad(picture, (2, 2, 2, 2), mode="replicate"), 5, 1)
    assert loss(blurred, picture) > 3 * loss(picture + 0.01, picture)


def test_perceptual_refuses_what_is_no_vgg(tmp_path: Path) -> None:
    path, _ = _vgg_file(tmp_path, (2, 2, 3, 3, 3))
    with pytest.raises(CheckpointError, match="VGG16, without conv5_4; its last is conv5_3"):
        Perceptual(path, {"conv5_4": 1.0})
    from safetensors.torch import save_file

    save_file({"conv_first.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a VGG16 or VGG19"):
        Perceptual(tmp_path / "other.safetensors", {"conv5_4": 1.0})
