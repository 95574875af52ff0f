"""The steps after the network: what each promises, on made scenes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.support.scenes import gray_frames, pan, shrink, texture
from vidsr.filters.after import fidelity
from vidsr.filters.after.colour_lock import ColourLock
from vidsr.filters.after.correction import Corrections
from vidsr.filters.after.fidelity import Fidelity, above_noise, intact, noise_of_colour
from vidsr.filters.after.grain import Grain
from vidsr.filters.after.post import post_steps, warmup
from vidsr.filters.after.stabilise import Stabilise
from vidsr.filters.after.strength import Strength
from vidsr.filters.flow import gaussian, luma
from vidsr.filters.resample import area_down, cubic_up, without
from vidsr.options.restore_options import RestoreOptions


def flickering(truth: Tensor, amount: float = 0.08) -> Tensor:
    """What a per-frame network does: right at coarse scale, with new fine detail in each frame."""
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(7))
    return truth + amount * (noise - gaussian(noise, 1.0))


@pytest.mark.parametrize("size", [(96, 128), (90, 122), (71, 101)])
def test_full_fidelity_gives_the_source_back(size: tuple[int, int]) -> None:
    source = texture(48, 64)
    out = Fidelity(1.0)(source, texture(*size, seed=5), gray_frames(1))
    start = (area_down(texture(*size, seed=5), (48, 64)) - source).abs().mean()
    left = (area_down(out, (48, 64)) - source).abs().mean()
    assert float(left) < 0.12 * float(start)


def test_no_fidelity_at_the_same_size_or_smaller() -> None:
    source, out = texture(48, 64), texture(48, 64, seed=5)
    assert Fidelity(1.0)(source, out, gray_frames(1)) is out


def test_area_averaging_is_exact_for_any_ratio() -> None:
    ramp = torch.arange(30.0).view(1, 1, 1, 30).expand(1, 1, 30, 30)
    down = area_down(ramp, (30, 7))
    fine = ramp[0, 0, 0].repeat_interleave(7).view(7, 30)  # each pixel cut in seven: 7 parts of 30 pieces
    torch.testing.assert_close(down[0, 0, 0], fine.mean(1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(20, 14), (40, 28), (30, 56), (25, 20), (10, 7)])
def test_bicubic_enlarging_is_that_of_torch(size: tuple[int, int]) -> None:
    low = texture(10, 7)
    expected = F.interpolate(low, size=size, mode="bicubic", align_corners=False)
    torch.testing.assert_close(cubic_up(low, size), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(20, 14), (40, 28), (30, 56), (25, 20), (10, 7)])
def test_what_comes_back_of_going_up_is_told_without_going_up(size: tuple[int, int]) -> None:
    low = texture(10, 7)
    expected = 1 - area_down(cubic_up(low, size), (10, 7))
    torch.testing.assert_close(without(torch.ones_like(low), low, size), expected, atol=1e-6, rtol=0)


def test_compression_is_seen() -> None:
    shade = torch.linspace(0, 1, 160).view(1, 1, 160, 1)  # as in pictures, some ground is flat
    sharp = 0.5 + (texture(160, 160, coarse=0.6) - 0.5) * shade
    soft = gaussian(sharp, 1.2)
    assert float(intact(sharp)) == pytest.approx(1, abs=0.05)
    assert float(intact(soft)) == pytest.approx(0, abs=0.02)


def test_noise_is_not_followed_and_what_stands_out_of_it_is() -> None:
    truth = torch.full((1, 3, 160, 160), 0.5)
    truth[..., 60:100, 60:100] = 0.8
    noise = 5 / 255 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    share = above_noise(truth + noise - 0.5, fidelity.noise(truth + noise), torch.ones(1))
    assert float(share[..., :40, :].mean()) < 0.05
    assert float(share[..., 70:90, 70:90].min()) > 0.95
    # Without noise all of it is followed, texture too.
    shade = torch.linspace(0, 1, 160).view(1, 1, 160, 1)
    clean = 0.5 + (texture(160, 160, coarse=0.6) - 0.5) * shade
    assert float(above_noise(clean - gaussian(clean, 2), fidelity.noise(clean), torch.ones(1)).mean()) > 0.9


@pytest.mark.parametrize("size", [(36, 44), (120, 180)])
def test_noise_is_measured_under_texture_and_in_small_pictures(size: tuple[int, int]) -> None:
    clean = luma(texture(*size, coarse=0.6)).expand(1, 3, *size) * torch.tensor([1.0, 0.9, 0.8]).view(1, 3, 1, 1)
    draw = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(3))
    assert float(noise_of_colour(clean)) == 0
    for sigma in (2.0, 5.0, 10.0):
        found = float(noise_of_colour(clean + sigma / 255 * draw)) * 255
        assert found == pytest.approx(sigma, rel=0.25)
    share = above_noise(5 / 255 * draw, fidelity.noise(clean + 5 / 255 * draw), torch.ones(1))
    assert float(share.mean()) < 0.02


def test_fidelity_of_a_noisy_source_brings_no_noise_back() -> None:
    truth = texture(96, 128, coarse=1.0)
    source = shrink(truth) + 5 / 255 * torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(4))
    network = (truth * 1.0).clone()
    network[..., 30:60, 40:80] += 0.1  # something that the network got wrong
    result = Fidelity()(source, network, gray_frames(1))
    all_followed = Fidelity(1.0)(source, network, gray_frames(1))
    flat, wrong = (..., slice(0, 20), slice(None)), (..., slice(34, 56), slice(44, 76))
    assert float((result - truth)[flat].square().mean()) < 0.3 * float((all_followed - truth)[flat].square().mean())
    assert float((result - truth)[wrong].square().mean()) < 0.3 * 0.1**2


def test_strength_blends_with_the_bicubic_enlargement() -> None:
    source, out = texture(24, 32), texture(48, 64, seed=5)
    torch.testing.assert_close(Strength(0.0)(source, out, gray_frames(1)), cubic_up(source, (48, 64)))
    torch.testing.assert_close(Strength(1.0)(source, out, gray_frames(1)), out)
    half = Strength(0.5)(source, out, gray_frames(1))
    torch.testing.assert_close(half, (out + cubic_up(source, (48, 64))) / 2)


def test_colour_lock_takes_out_a_tint_and_keeps_detail() -> None:
    truth = texture(96, 128)
    source = shrink(truth)
    tinted = truth + torch.tensor([0.05, -0.02, -0.04]).view(1, 3, 1, 1)
    locked = ColourLock()(source, tinted, gray_frames(1))
    assert float((locked - truth).mean((0, 2, 3)).abs().max()) < 1e-3
    assert float((locked - truth).abs().mean()) < 0.004


def test_a_grey_source_gives_exactly_neutral_chroma() -> None:
    source = luma(texture(48, 64)).expand(1, 3, 48, 64)
    locked = ColourLock()(source, texture(96, 128, seed=4), gray_frames(1))
    assert torch.equal(locked[:, 0], locked[:, 1]) and torch.equal(locked[:, 1], locked[:, 2])


@pytest.mark.parametrize("size", [(96, 128), (90, 122), (48, 64)])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("amount", [None, 0.7])
def test_corrections_together_are_those_one_after_the_other(
    size: tuple[int, int], grey: bool, amount: float | None
) -> None:
    source, out = texture(48, 64), texture(*size, seed=5)
    if grey:
        source = luma(source).expand(1, 3, 48, 64)
    source, out = torch.cat((source, texture(48, 64, seed=2))), out.repeat(2, 1, 1, 1)
    expected = out
    for step in (Fidelity(amount), ColourLock()):
        expected = step(source, expected, gray_frames(2))
    together = Corrections([Fidelity(amount), ColourLock()])(source, out, gray_frames(2))
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=0)
    neutral = (together[:, :1] == together).flatten(1).all(1).tolist()
    assert neutral == [grey, False]


def warping_error(result: Tensor, dx: int) -> float:
    """Mean squared difference along the known motion."""
    return float(((result[1:, ..., :-dx] - result[:-1, ..., dx:]) ** 2).mean())


def test_stabilising_takes_flicker_away_and_keeps_the_picture() -> None:
    truth = pan(10, 4, size=(96, 128))
    network = flickering(truth)
    steady = Stabilise(0.8)(shrink(truth), network, gray_frames(10))
    # The first frames have little to draw on; the bound is on the settled part.
    assert warping_error(steady[4:], 4) < 0.2 * warping_error(network[4:], 4)
    assert float(((steady - truth) ** 2).mean()) < 0.5 * float(((network - truth) ** 2).mean())


def test_batches_do_not_matter() -> None:
    truth = pan(7, 2)
    network, source = flickering(truth), shrink(truth)
    whole = Stabilise(0.8)(source, network, gray_frames(7))
    step = Stabilise(0.8)
    parts = [step(source[a:b], network[a:b], gray_frames(b - a, a)) for a, b in ((0, 1), (1, 4), (4, 7))]
    assert torch.equal(whole, torch.cat(parts))


def test_nothing_survives_a_cut() -> None:
    before, after = pan(4, 2, seed=1), pan(4, 2, seed=2)
    source = shrink(torch.cat((before, after)))
    network = flickering(torch.cat((before, after)))
    steady = Stabilise(1.0)(source, network, gray_frames(8))
    assert torch.equal(steady[4], network[4])


def test_no_ghost_behind_a_moving_edge() -> None:
    background = texture(96, 128, seed=1) * 0.4
    truth = background.repeat(6, 1, 1, 1)
    for t in range(6):
        truth[t, :, 30:66, 10 + 8 * t : 40 + 8 * t] = 0.9
    steady = Stabilise(1.0)(shrink(truth), truth, gray_frames(6))
    for t in range(1, 6):  # what the square has just uncovered
        uncovered = (slice(None), slice(34, 62), slice(10 + 8 * (t - 1), 10 + 8 * t - 2))
        assert float((steady[t][uncovered] - truth[t][uncovered]).abs().mean()) < 0.02


def test_a_segment_that_warms_up_joins_without_a_seam() -> None:
    truth = pan(40, 1, size=(64, 96))
    network, source = flickering(truth), shrink(truth)
    whole = Stabilise(0.8)(source, network, gray_frames(40))
    fresh = Stabilise(0.8)
    start = 20 - fresh.warmup
    second = fresh(source[start:], network[start:], gray_frames(40 - start, start))[fresh.warmup :]
    joined = torch.cat((whole[:20], second))
    at_seam = warping_error(joined[19:21], 1)
    elsewhere = warping_error(whole[15:25], 1)
    assert at_seam <= 1.1 * elsewhere
    assert fresh.warmup / 256 < 0.04


@pytest.mark.parametrize("coarse", [0.0, 0.8, 1.5])
@pytest.mark.parametrize("strength", [3.0, 8.0])
def test_grain_is_as_strong_and_as_coarse_as_it_was(coarse: float, strength: float) -> None:
    noise = torch.randn(1, 1, 180, 260, generator=torch.Generator().manual_seed(2))
    noise = gaussian(noise, coarse) if coarse else noise
    noise = (noise / noise.std())[..., 10:-10, 10:-10] * strength / 255
    ramp = torch.linspace(0.3, 0.7, 240).view(1, 1, 1, 240).expand(1, 3, 160, 240)
    result = Grain(1.0)(ramp + noise, cubic_up(ramp, (480, 720)), gray_frames(1))
    added = (area_down(result, (160, 240)) - ramp)[:, :1]
    assert float(added.std()) == pytest.approx(float(noise.std()), rel=0.1)
    for low, high in ((0.04, 0.12), (0.12, 0.25)):
        assert band(added, low, high) == pytest.approx(band(noise, low, high), rel=0.15)


def band(noise: Tensor, low: float, high: float) -> float:
    """Amplitude of ``noise`` between two frequencies in cycles per pixel, by a transform of the whole picture."""
    power = torch.fft.rfft2(noise[0, 0]).abs() ** 2
    radius = torch.fft.fftfreq(noise.shape[-2])[:, None] ** 2 + torch.fft.rfftfreq(noise.shape[-1])[None] ** 2
    return float(power[(radius >= low**2) & (radius < high**2)].mean().sqrt())


def test_grain_is_new_in_each_frame_and_the_same_in_each_run() -> None:
    source = 0.5 + 0.02 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(2)).expand(1, 3, 64, 64)
    flat = torch.full((1, 3, 128, 128), 0.5)
    first, again = (Grain(1.0)(source, flat, gray_frames(1, 3)) - flat for _ in range(2))
    other = Grain(1.0)(source, flat, gray_frames(1, 4)) - flat
    assert torch.equal(first, again)
    correlation = (first * other).mean() / (first.std() * other.std())
    assert abs(float(correlation)) < 0.1


def test_grain_on_flat_grey_shows_no_pattern() -> None:
    source = 0.5 + 0.03 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(2)).expand(1, 3, 128, 128)
    grain = (Grain(1.0)(source, torch.full((1, 3, 512, 512), 0.5), gray_frames(1)) - 0.5)[0, 0]
    # A pattern shows as a variance that depends on the place inside a source pixel, or as a shifted copy of itself.
    phases = torch.stack([grain[y::4, x::4].var() for y in range(4) for x in range(4)])
    assert float(phases.max() / phases.min()) < 1.15
    power = torch.fft.irfft2(torch.fft.rfft2(grain).abs() ** 2, s=(512, 512))
    power = power / power[0, 0]
    near = 48
    power[:near, :near] = power[-near:, :near] = power[:near, -near:] = power[-near:, -near:] = 0
    assert float(power.abs().max()) < 0.1


def test_a_source_without_grain_gets_none() -> None:
    source = torch.full((1, 3, 64, 64), 0.5)
    out = torch.full((1, 3, 256, 256), 0.5)
    assert float((Grain(1.0)(source, out, gray_frames(1)) - out).abs().max()) < 1e-4


def test_the_order_of_the_steps() -> None:
    steps = post_steps(RestoreOptions(stabilize=0.8, strength=0.9, grain=1.0))
    names = [type(s).__name__ for s in steps]
    assert names == ["Fidelity", "Stabilise", "Fidelity", "Strength", "ColourLock", "Grain"]
    (together,) = post_steps(RestoreOptions())
    assert isinstance(together, Corrections)
    assert [type(s).__name__ for s in together.steps] == ["Fidelity", "ColourLock"]
    assert post_steps(RestoreOptions(fidelity=0.0, colour_lock=False)) == []
    assert warmup(post_steps(RestoreOptions(stabilize=0.8))) == 10
    assert warmup(post_steps(RestoreOptions())) == 0
