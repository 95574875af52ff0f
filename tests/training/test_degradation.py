"""Degradations: the same from the same seed, and each with the effect that it names."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.degradation import compression, film, kernels, second_order
from vidsr.training.degradation.degrade import degrade
from vidsr.training.degradation.options import (
    KERNELS,
    CodecOptions,
    DegradationOptions,
    FilmOptions,
    OrderOptions,
    TapeOptions,
)
from vidsr.training.degradation.tape import patches

EVERYTHING = DegradationOptions(
    recipe="second_order",
    codec=CodecOptions(chance=1.0),
    tape=TapeOptions(interlace_chance=1, bleed_chance=1, noise_chance=1, jitter_chance=1),
    film=FilmOptions(dust_chance=1, scratch_chance=1, grain_chance=1, fade_chance=1, breathing_chance=1),
)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def picture() -> Tensor:
    """A smooth picture with edges and texture, [3, 96, 96] in 0..1."""
    at = torch.arange(96) / 96
    y, x = torch.meshgrid(at, at, indexing="ij")
    waves = 0.5 + 0.2 * torch.sin(40 * x) + 0.1 * torch.sin(55 * y + 20 * x)
    edge = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.08).float() * 0.2
    return torch.stack([waves + edge, waves, waves - edge]).clamp(0, 1)


def _high_frequencies(x: Tensor) -> float:
    return (x[:, 1:] - x[:, :-1]).square().mean().item() + (x[..., 1:] - x[..., :-1]).square().mean().item()


@pytest.mark.parametrize("options", [DegradationOptions(), EVERYTHING], ids=["bicubic", "everything"])
def test_same_seed_same_picture_other_seed_other_picture(picture: Tensor, options: DegradationOptions) -> None:
    high = (picture * 255).to(torch.uint8)
    first, again, other = (degrade(high, 4, options, _rng(seed)) for seed in (5, 5, 6))
    assert first.shape == (3, 24, 24) and first.dtype == torch.uint8
    assert torch.equal(first, again)
    if options is EVERYTHING:
        assert not torch.equal(first, other)


def test_bicubic_recipe_is_the_tested_filter(picture: Tensor) -> None:
    high = (picture * 255).to(torch.uint8)
    assert torch.equal(degrade(high, 4, DegradationOptions(), _rng()), resize_bicubic_uint8(high, 0.25))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_second_order_gives_the_size_of_the_scale(picture: Tensor, scale: int) -> None:
    options = DegradationOptions(recipe="second_order")
    for seed in range(5):
        low = degrade((picture * 255).to(torch.uint8), scale, options, _rng(seed))
        assert low.shape == (3, 96 // scale, 96 // scale)


def test_blur_lowers_high_frequencies_more_with_larger_sigma(picture: Tensor) -> None:
    energies = [_high_frequencies(picture)]
    energies += [
        _high_frequencies(kernels.blur(picture, kernels.gaussian(21, kernels.KernelShape(sigma_x=s, sigma_y=s))))
        for s in (0.5, 1.0, 2.0, 3.0)
    ]
    assert energies == sorted(energies, reverse=True)


def test_gaussian_kernel_against_its_formula_and_its_angle() -> None:
    shape = kernels.KernelShape(sigma_x=3.0, sigma_y=1.0, angle=math.pi / 2)
    kernel = kernels.gaussian(21, shape)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert (kernel[13, 10] / kernel[10, 10]).item() == pytest.approx(math.exp(-0.5 * (3 / 3) ** 2), rel=1e-4)
    assert (kernel[10, 12] / kernel[10, 10]).item() == pytest.approx(math.exp(-0.5 * 2**2), rel=1e-4)
    flat = kernels.plateau(21, kernels.KernelShape(sigma_x=3, sigma_y=3), 2.0)
    assert (flat[10, 13] / flat[10, 10]).item() == pytest.approx(0.5, rel=1e-4)


def test_sinc_passes_low_and_stops_high_frequencies() -> None:
    """The response of a long kernel: near 1 well below the cut-off, near 0 well above."""
    kernel = kernels.sinc(51, 1.5)
    response = torch.fft.fft2(kernel, s=(256, 256)).abs()
    assert response[0, 20].item() == pytest.approx(1, abs=0.15)  # 0.49 rad
    assert response[0, 110].item() < 0.1  # 2.7 rad
    assert (kernel < 0).any(), "it rings"


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_shape_is_normalised(name: str) -> None:
    options = OrderOptions(kernels={name: 1.0}, sinc_chance=0.0)
    for seed in range(8):
        kernel = kernels.random_kernel(options, _rng(seed))
        assert kernel.sum().item() == pytest.approx(1, abs=1e-4)
        assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1 and 7 <= kernel.shape[0] <= 21


def test_jpeg_quality_orders_the_error(picture: Tensor) -> None:
    errors = [(second_order.jpeg(picture, q) - picture).abs().mean().item() for q in (95, 60, 30, 10)]
    assert errors == sorted(errors) and errors[0] > 0


def test_gaussian_noise_has_its_standard_deviation() -> None:
    grey = torch.full((3, 128, 128), 0.5)
    noise = second_order.gaussian_noise(grey, 0.05, False, _rng()) - grey
    assert noise.std().item() == pytest.approx(0.05, rel=0.03)
    same = second_order.gaussian_noise(grey, 0.05, True, _rng()) - grey
    assert torch.equal(same[0], same[2]) and not torch.equal(noise[0], noise[2])


def test_poisson_noise_grows_with_brightness() -> None:
    ramp = torch.linspace(0.02, 0.95, 256).expand(3, 128, 256)
    noise = second_order.poisson_noise(ramp, 1.0, False, _rng()) - ramp
    dark, bright = noise[..., 20:60].std(), noise[..., 180:220].std()
    assert bright > 1.5 * dark


@pytest.mark.parametrize("codec", sorted(compression.ENCODERS))
def test_codec_keeps_the_count_and_orders_the_error(picture: Tensor, codec: str) -> None:
    """As many frames come back as went in, for odd sizes too; a coarser quality is farther away."""
    pixels = (picture * 255).to(torch.uint8).permute(1, 2, 0).numpy()[:71, :93]
    clip = [np.roll(pixels, i, axis=1) for i in range(5)]
    errors = []
    for quality in (3, 14, 30):
        back = compression.round_trip(clip, compression.Compression(codec=codec, quality=quality, preset="veryfast"))
        assert len(back) == 5 and all(f.shape == pixels.shape for f in back)
        errors.append(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(back, clip, strict=True)]))
    assert errors == sorted(errors)
    assert errors[0] < 6, "frames come back in their order"


def test_codec_bitrate_orders_the_error() -> None:
    noise = [_rng(i).integers(0, 256, (128, 128, 3), dtype=np.uint8) for i in range(8)]
    errors = []
    for bitrate in (2_000_000, 100_000):
        back = compression.round_trip(noise, compression.Compression(codec="h264", bitrate=bitrate, preset="veryfast"))
        errors.append(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(back, noise, strict=True)]))
    assert errors[1] > errors[0] + 5


def test_combing_moves_every_second_line(picture: Tensor) -> None:
    combed = patches.combed(picture, 2.0)
    assert torch.equal(combed[:, ::2], picture[:, ::2])
    assert torch.allclose(combed[:, 1::2, 2:], picture[:, 1::2, :-2], atol=1e-6)


def test_bleed_moves_colour_not_brightness() -> None:
    picture = torch.full((3, 32, 64), 0.3)
    picture[0, :, 20:30] = 0.7
    bled = patches.bled(picture, 4.0)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert torch.allclose((bled * weights).sum(0), (picture * weights).sum(0), atol=1e-3)
    assert (bled[0] - bled[2])[16, 33] > 0.05, "red runs to the right of the bar"
    assert (bled[0] - bled[2])[16, 15].abs() < 1e-3, "and not to its left"


def test_tape_noise_runs_along_the_lines() -> None:
    grey = torch.full((3, 64, 128), 0.5)
    noise = (patches.streaked(grey, 0.05, _rng()) - grey).mean(0)
    along = (noise[:, 1:] * noise[:, :-1]).mean() / noise.square().mean()
    down = (noise[1:] * noise[:-1]).mean() / noise.square().mean()
    assert along > 0.5 and abs(down) < 0.1


def test_jitter_moves_lines_and_keeps_their_values(picture: Tensor) -> None:
    shaken = patches.shaken(picture, 1.0, _rng())
    assert not torch.equal(shaken, picture)
    assert shaken.mean().item() == pytest.approx(picture.mean().item(), abs=0.01)


def test_grain_is_strongest_in_the_midtones() -> None:
    def strength(level: float) -> float:
        flat = torch.full((3, 64, 64), level)
        return (film.grainy(flat, 0.05, _rng()) - flat).std().item()

    assert strength(0.5) == pytest.approx(0.05, rel=0.1)
    assert strength(0.5) > strength(0.1) > strength(0.0)


def test_dust_touches_few_pixels_and_scratches_run_along_the_film() -> None:
    grey = torch.full((3, 128, 128), 0.5)
    dusty = (film.dusty(grey, 10, _rng()) - grey).abs().amax(0) > 0.02
    assert 10 < dusty.sum().item() < 0.05 * 128 * 128
    assert film.dusty(grey, 0, _rng()).equal(grey)
    scratched = sum(((film.scratched(grey, 1, _rng(seed)) - grey).abs().amax(0) > 0.02).float() for seed in range(20))
    assert scratched.sum(0).max() > 3 * scratched.sum(1).max() / 128 * 20, "columns collect more than rows"


def test_chances_of_zero_change_nothing(picture: Tensor) -> None:
    assert torch.equal(patches.play(picture, TapeOptions(), _rng()), picture)
    assert torch.equal(film.age(picture, FilmOptions(), _rng()), picture)
    always = replace(TapeOptions(), bleed_chance=1.0)
    assert not torch.equal(patches.play(picture, always, _rng()), picture)


def test_the_last_sinc_filter_never_cuts_below_a_third(monkeypatch: pytest.MonkeyPatch, picture: Tensor) -> None:
    """As published: from π/5 for large kernels of the two blurs, from π/3 always for the filter at the end."""
    cutoffs: list[float] = []
    real = kernels.sinc

    def noted(size: int, cutoff: float) -> Tensor:
        cutoffs.append(cutoff)
        return real(size, cutoff)

    monkeypatch.setattr(kernels, "sinc", noted)
    at_the_end = DegradationOptions(
        first=OrderOptions(sinc_chance=0), second=OrderOptions(sinc_chance=0), final_sinc_chance=1
    )
    for seed in range(12):
        second_order.second_order(picture, 4, at_the_end, np.random.default_rng(seed))
    assert len(cutoffs) == 12 and min(cutoffs) >= math.pi / 3
    cutoffs.clear()
    for seed in range(200):
        kernels.random_kernel(OrderOptions(sinc_chance=1, kernel_size=(13, 21)), np.random.default_rng(seed))
    assert math.pi / 5 <= min(cutoffs) < math.pi / 4


def test_half_of_the_plateaus_have_exponent_one() -> None:
    exponents = [kernels._exponent((1.0, 2.0), np.random.default_rng(seed)) for seed in range(200)]
    assert 70 < exponents.count(1.0) < 130 and max(exponents) > 1.8
    assert all(2 <= kernels._exponent((2.0, 4.0), np.random.default_rng(seed)) <= 4 for seed in range(20))


def test_resizing_has_the_published_filters(picture: Tensor) -> None:
    """Area, bilinear and bicubic as torch has them, none with a filter against aliasing but area."""
    wanted = [
        torch.nn.functional.interpolate(picture[None], (20, 30), mode=mode, align_corners=corners)[0].clamp(0, 1)
        for mode, corners in (("area", None), ("bilinear", False), ("bicubic", False))
    ]
    found = [second_order.resized(picture, (20, 30), np.random.default_rng(seed)) for seed in range(12)]
    kinds = {next(n for n, w in enumerate(wanted) if torch.allclose(f, w)) for f in found}
    assert kinds == {0, 1, 2}


def test_grey_poisson_noise_follows_the_luma() -> None:
    """Blue counts for little: its noise is that of a dark picture."""
    blue, green = torch.zeros(3, 64, 64), torch.zeros(3, 64, 64)
    blue[2], green[1] = 0.5, 0.5
    spread = [(second_order.poisson_noise(x, 0.3, True, _rng()) - x).std() for x in (blue, green)]
    assert spread[1] > 1.5 * spread[0]
