"""Adversarial losses, each with its equation. C(·) are a discriminator's logits, r real, f generated pictures.

Means run over all values of a batch, over all processes of a distributed run. log σ(x) is computed as
-softplus(-x), which does not overflow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.training.distributed import mean_of_all


class Adversarial(ABC):
    """A pair of losses on logits of any shape; both return a scalar in fp32."""

    #: Whether the generator's loss needs the discriminator's logits of real pictures.
    relative = False

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss that the discriminator minimises."""

    @abstractmethod
    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss that the generator minimises; ``real`` is used only where :attr:`relative`, and gets no gradient."""


class Vanilla(Adversarial):
    """L_D = −E log σ(C(r)) − E log(1 − σ(C(f))),  L_G = −E log σ(C(f)).

    Source: Goodfellow et al., arXiv 1406.2661, with the non-saturating loss of the generator.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-fake.float()).mean()


class LeastSquares(Adversarial):
    """L_D = E (C(r) − 1)² + E C(f)²,  L_G = E (C(f) − 1)².

    Source: Mao et al., arXiv 1611.04076, equation 2 with a = 0, b = c = 1, without its factor ½.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (real.float() - 1).square().mean() + fake.float().square().mean()

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake.float() - 1).square().mean()


class RelativisticAverage(Adversarial):
    """With D(a, b) = σ(C(a) − E[C(b)]):

    L_D = ½ (−E log D(r, f) − E log(1 − D(f, r))),  L_G = ½ (−E log(1 − D(r, f)) − E log D(f, r)).

    Source: ESRGAN, arXiv 1809.00219, equations 1 and 2; the ½ is that of the published training code, to whose
    weight 5e-3 it belongs.
    """

    relative = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = real.float(), fake.float()
        over_fake, over_real = real - mean_of_all(fake.mean()), fake - mean_of_all(real.mean())
        return (F.softplus(-over_fake).mean() + F.softplus(over_real).mean()) / 2

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = real.detach().float(), fake.float()
        over_fake, over_real = real - mean_of_all(fake.mean()), fake - mean_of_all(real.mean())
        return (F.softplus(over_fake).mean() + F.softplus(-over_real).mean()) / 2


ADVERSARIAL: dict[str, type[Adversarial]] = {
    "ragan": RelativisticAverage,
    "vanilla": Vanilla,
    "lsgan": LeastSquares,
}


def pixel_loss(result: Tensor, target: Tensor) -> Tensor:
    """L1 = E \\|x − y\\|, over all values, in fp32."""
    return F.l1_loss(result.float(), target.float())


def sharpened(picture: Tensor, weight: float = 0.5, radius: int = 50, threshold: float = 10.0) -> Tensor:
    """Unsharp mask of ``[N, 3, H, W]`` in 0..1, where the detail exceeds ``threshold`` of 255.

    x + w·(x − blur(x)) clipped to 0..1, blended in by the blurred mask of \\|x − blur(x)\\|·255 > threshold.
    Source: Real-ESRGAN's training code, which sharpens the targets of L1 and perceptual loss this way. The
    Gaussian has the σ that OpenCV gives a kernel of ``radius`` (made odd): 0.3·((k − 1)/2 − 1) + 0.8.
    """
    size = radius + 1 - radius % 2
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    at = torch.arange(size, device=picture.device, dtype=torch.float32) - size // 2
    line = torch.exp(-(at**2) / (2 * sigma**2))
    line = line / line.sum()
    blurred = _separable(picture, line)
    residual = picture - blurred
    mask = _separable((residual.abs() * 255 > threshold).float(), line)
    sharp = (picture + weight * residual).clamp(0, 1)
    return mask * sharp + (1 - mask) * picture


def _separable(picture: Tensor, line: Tensor) -> Tensor:
    half, channels = line.numel() // 2, picture.shape[1]
    mode = "reflect" if min(picture.shape[-2:]) > half else "replicate"
    padded = F.pad(picture, (half, half, half, half), mode=mode)
    rows = F.conv2d(padded, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
