"""Whether a source is sound enough to be drawn from several frames: what ``--multiframe auto`` goes by.

A recurrent network trusts its source. On damaged ones it draws noise, blocks and ringing more sharply, so each frame is
looked at for five kinds of damage:

- **noise**, as :func:`~vidsr.filters.after.fidelity.noise` measures it;
- **blocks**: fine DCT coefficients are zero more often on the 8×8 grid than beside it, after JPEG, in the intra-coded
  frames of MPEG-2 and, less so, after H.264;
- **lost detail**: the finest DCT power falls against the fine one, as quantisation takes the highest frequencies first.
  A grid that is hardly visible counts against it too. A source that is only soft lacks it as well; but its places
  change from frame to frame, where an encoder repeats them exactly;
- **unsteady detail**: encoders spend different numbers of bits on I, P and B frames, so that the finest detail of a
  place changes from frame to frame, where a camera's changes slowly;
- **changes in blocks**: an encoder codes what changes from frame to frame, in few coefficients of blocks on its grid.
  So the coefficients of the change are zero more often on that grid than beside it.

A source can be undamaged and still have nothing to gain: where it was reduced in a way that left no aliases,
neighbouring frames show no more than one (:mod:`vidsr.filters.after.reduction`).

One frame is judged from those up to :data:`AROUND` frames away in its scene, so the judgement follows a scene and does
not depend on where a stream begins. Where a measure is between its two limits the share falls in proportion. The limits
are in docs/decisions/063-several-frames.md and 103-how-a-source-was-reduced.md with the figures that they come from.

A source that only noise speaks against can be cleaned of it along the motion and used with more care: such a frame has
no trust, but it is ``noisy`` (docs/decisions/082-noise-goes-before-propagation.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor

from vidsr.filters.after.fidelity import noise
from vidsr.filters.after.reduction import aliasing
from vidsr.filters.detect.noise import dct_basis
from vidsr.filters.flow import luma

#: Frames on either side, in the same scene, that a frame is judged with.
AROUND = 8
#: Fewer frames that differ say too little of steadiness.
FEWEST = 5
#: For each measure the value up to (or, of detail, from) which a source is sound, and that at which it is damaged.
NOISE = (0.8, 1.0)
#: Likewise for a frame that is cleaned of noise first: not below, and not above what was measured.
CLEANED = (2.5, 1.2)
TOO_NOISY = (6.5, 12.5)
BLOCKS = (0.025, 0.035)
DETAIL = (0.3, 0.275)
#: Of less detail, where hardly a place stays exactly the same from one frame to the next: a soft source, not one of
#: which an encoder coded only what changed.
SOFT = (0.19, 0.165)
UNCHANGED = (0.3, 0.35)
UNSTEADY = (0.05, 0.065)
#: Of the coefficients of changes.
IN_BLOCKS = (0.008, 0.016)
#: In log-odds.
ALIASING = (0.7, 0.2)
#: A scene in which nothing changes shows no unsteadiness, and its frames show nothing that one alone does not.
MOVING = (0.004, 0.002)
#: How much detail a visible grid is set against.
_DETAIL_PER_BLOCK = 3.0
#: Blocks that a picture is looked at in, at most: larger pictures are looked at in blocks further apart.
_MOST_BLOCKS = 20_000
_SMALLEST_PX = 32
#: Places of some but not much contrast, by rank.
_PLAIN, _RICH = 0.2, 0.6
#: Power of rounding to 8 bits, in squared code values, below which a coefficient holds nothing.
_ROUNDING = 0.12
#: A coefficient of a change is zero below this many code values.
_NO_CHANGE = 0.7
#: Where the grid does not lie: its rows and columns are compared with those of all of these.
_BESIDE = ((2, 2), (2, 6), (6, 2), (6, 6))
#: Sides of the middle of a picture in which changes are looked at, at most; and pixels at whose multiples it begins.
_CHANGES_PX, _CORNER_PX = 384, 16
_NOISE = "noise"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one frame shows: strength of ``noise`` in 8-bit code values; share of fine coefficients that only the 8×8
    grid sets to zero; ratio of the finest to fine power; log-odds that its reduction left aliases; and, by place,
    contrast and the logarithm of the finest power ``[places]``, and the codes of 3×3 pixels, uint8 ``[n, 27]``;
    and luma ``[h, w]`` of the middle, in 8-bit code values."""

    noise: float
    blocks: float
    detail: float
    aliasing: float
    contrast: Tensor
    finest: Tensor
    pixels: Tensor
    middle: Tensor


@dataclass(frozen=True, slots=True)
class Judgement:
    """How far a source can be trusted, 0 to 1, and what speaks against it most; "" where nothing does.

    ``noisy``, 0 to 1: how far a source without trust can be used once it has been cleaned of noise.
    """

    trust: float
    against: str
    noisy: float = 0.0

    @property
    def is_used(self) -> bool:
        """Whether neighbouring frames have any share in the result."""
        return self.trust > 0 or self.noisy > 0

    @property
    def words(self) -> str:
        """The reason against the source, in words; "" without one."""
        if self.noisy:
            return f"partly: {self.against}, which is removed first"
        return self.against if self.trust in (0.0, 1.0) else f"partly: {self.against}"


def look(rgb: Tensor) -> Look | None:
    """Look at a frame ``[1, 3, h, w]``, 0 to 1; None if it is too small to judge."""
    if min(rgb.shape[-2:]) < _SMALLEST_PX:
        return None
    grey = luma(rgb)
    power = _block_power(grey, _stride(rgb))
    contrast, fine, finest = (_band(power, low, high).mean(-1) for low, high in ((3, 6), (7, 10), (10, 15)))
    busy = contrast >= contrast.median()
    ratio = torch.where(busy, finest / (fine + 0.1), torch.nan).nanmedian()
    level, blocks, detail, aliases = torch.stack(
        (noise(rgb).mean() * 255, _blocks(grey), ratio, aliasing(grey))
    ).tolist()
    stride = _stride(rgb)
    pixels = (rgb[0] * 255).round().byte().unfold(1, 3, stride).unfold(2, 3, stride)
    pixels = pixels.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    return Look(
        level, blocks, detail, aliases, contrast, (finest + 0.05).log(), pixels, middle(grey, _CHANGES_PX)[0, 0] * 255
    )


def unbroken(rgb: Tensor) -> float:
    """How far a frame ``[1, 3, h, w]`` is free of compression blocks, 0 to 1; 1 where it is too small to judge.

    A small frame has few blocks to judge by, so what it shows wavers across the limits from one frame to the next. What
    lies within one standard error of none counts as none, which leaves large frames as they are.
    """
    if min(rgb.shape[-2:]) < _SMALLEST_PX:
        return 1.0
    grey = luma(rgb)
    on_grid, beside = (_zeros(grey[..., offset:, offset:]) for offset in (0, 4))
    error = (on_grid.var() / len(on_grid) + beside.var() / len(beside)).sqrt()
    return _trust(float(on_grid.mean() - beside.mean() - error), BLOCKS)


def hopeless(looks: Sequence[Look | None]) -> bool:
    """Whether these frames are left out whichever of them are judged together: one measure speaks against all."""
    known = [one for one in looks if one is not None]
    if len(known) < FEWEST or len(known) < len(looks):
        return True
    return any(
        all(not _trust(value, limits) and not (name == _NOISE and _noisiness(value)) for value in values)
        for values, limits, name in _measures(known)
    )


def judge(looks: Sequence[Look | None]) -> Judgement:
    """Judge a frame by those around it, itself among them, in order; repeated frames left out."""
    known = [one for one in looks if one is not None]
    if len(known) < FEWEST or len(known) < len(looks):
        return Judgement(0.0, "too few or too small frames to judge")
    found = [(_trust(sum(values) / len(values), limits), name) for values, limits, name in _measures(known)]
    found.append((_detailed(known), "little fine detail"))
    change = _unsteadiness(known)
    found.append((_trust(change, UNSTEADY), "detail that changes from frame to frame"))
    found.append((_trust(_in_blocks(known), IN_BLOCKS), "changes in blocks"))
    found.append((_trust(change, MOVING), "nothing moves"))
    trust, against = min(found, key=lambda entry: entry[0])
    if not trust and found[0][1] == _NOISE and not found[0][0]:
        rest = min(entry[0] for entry in found[1:])
        return Judgement(0.0, _NOISE, min(rest, _noisiness(sum(one.noise for one in known) / len(known))))
    return Judgement(trust, against if trust < 1 else "")


def compression(looks: Sequence[Look]) -> str:
    """What says that frames of one scene, :data:`FEWEST` or more that differ, were compressed with loss; "" if nothing.

    Unlike :func:`judge` it goes by damage alone: noise, stillness and missing aliases do not count.
    """
    found = [
        (_trust(sum(one.blocks for one in looks) / len(looks), BLOCKS), "compression blocks"),
        (_detailed(looks), "little fine detail"),
        (_trust(_unsteadiness(looks), UNSTEADY), "detail that changes from frame to frame"),
        (_trust(_in_blocks(looks), IN_BLOCKS), "changes in blocks"),
    ]
    trust, against = min(found, key=lambda entry: entry[0])
    return against if trust < 1 else ""


def _measures(looks: Sequence[Look]) -> Iterator[tuple[list[float], tuple[float, float], str]]:
    """What each frame shows by itself, with the limits and the reason against it; noise comes first."""
    yield [one.noise for one in looks], NOISE, _NOISE
    yield [one.blocks for one in looks], BLOCKS, "compression blocks"
    yield _detail(looks), SOFT, "little fine detail"
    yield [one.aliasing for one in looks], ALIASING, "reduced without aliases"


def _detail(looks: Sequence[Look]) -> list[float]:
    return [one.detail - _DETAIL_PER_BLOCK * one.blocks for one in looks]


def _detailed(looks: Sequence[Look]) -> float:
    """How far frames have the detail of a sound source, or are soft and change as a camera's do."""
    detail = sum(_detail(looks)) / len(looks)
    sharp = _trust(detail, DETAIL)
    if sharp == 1:
        return sharp
    same = [float((a.pixels == b.pixels).all(1).float().mean()) for a, b in pairwise(looks)]
    return max(sharp, min(_trust(detail, SOFT), _trust(median(same), UNCHANGED)))


def _unsteadiness(looks: Sequence[Look]) -> float:
    """Mean amount by which the finest detail of places with some contrast departs from its neighbours in time."""
    contrast = torch.stack([one.contrast for one in looks]).mean(0)
    order = contrast.sort().values
    low, high = (order[int(rank * (len(order) - 1))] for rank in (_PLAIN, _RICH))
    finest = torch.stack([one.finest for one in looks])[:, (contrast >= low) & (contrast <= high)].mean(1)
    return float((finest[1:-1] - (finest[:-2] + finest[2:]) / 2).abs().mean())


def _in_blocks(looks: Sequence[Look]) -> float:
    """By how much more often the coefficients of changes are zero on the grid than beside it; half of what the blocks'
    spread lets this err by is taken off, as small frames have few."""
    pairs = [_unchanged(before, after) for before, after in pairwise(looks)]
    on_grid, *beside = (torch.stack(places).mean(0) for places in zip(*pairs, strict=True))
    most = max(beside, key=lambda shares: float(shares.mean()))
    error = (on_grid.var() / len(on_grid) + most.var() / len(most)).sqrt()
    return float(on_grid.mean() - most.mean() - error / 2)


@lru_cache(maxsize=2 * AROUND)
def _unchanged(before: Look, after: Look) -> list[Tensor]:
    """For blocks on the grid, and for those of each place beside it, the share of coefficients that do not change.

    Of many windows of frames that overlap, each pair is measured once.
    """
    change = after.middle - before.middle
    basis = dct_basis(change)
    shares = []
    for down, right in ((0, 0), *_BESIDE):
        blocks = change[down:, right:].unfold(0, 8, 8).unfold(1, 8, 8)
        coefficients = (basis @ blocks @ basis.T).flatten(2).flatten(0, 1)[:, 1:]
        shares.append((coefficients.abs() < _NO_CHANGE).float().mean(1))
    return shares


def middle(picture: Tensor, most: int) -> Tensor:
    """The middle of ``[N, C, h, w]``, up to ``most`` pixels a side, not copied; a grid of blocks lies in it as in the
    whole."""
    top, left = (max(0, side - most) // 2 // _CORNER_PX * _CORNER_PX for side in picture.shape[-2:])
    return picture[..., top : top + most, left : left + most]


def _noisiness(noise: float) -> float:
    """How far a frame of this ``noise`` is to be cleaned, 0 to 1."""
    return min(_trust(noise, CLEANED), _trust(noise, TOO_NOISY))


def _trust(value: float, limits: tuple[float, float]) -> float:
    """1 on the sound side of ``limits`` = (sound, damaged), 0 on the other."""
    sound, damaged = limits
    return min(1.0, max(0.0, (value - damaged) / (sound - damaged)))


def _blocks(grey: Tensor) -> Tensor:
    on_grid, beside = (_zeros(grey[..., offset:, offset:]).mean() for offset in (0, 4))
    return on_grid - beside


def _zeros(grey: Tensor) -> Tensor:
    """Of each of the adjacent blocks the share of fine coefficients that hold nothing, ``[blocks]``."""
    return (_band(_block_power(grey, 8), 9, 15) < _ROUNDING).float().mean(1)


def _block_power(grey: Tensor, stride: int) -> Tensor:
    """DCT power of the 8×8 blocks of ``[1, 1, h, w]``, ``[blocks, 64]``, in squared 8-bit code values."""
    blocks = (grey[0, 0] * 255).unfold(0, 8, stride).unfold(1, 8, stride).flatten(0, 1)
    basis = dct_basis(grey)
    return ((basis @ blocks @ basis.T) ** 2).flatten(1)


def _band(power: Tensor, low: int, high: int) -> Tensor:
    """Of blocks ``[blocks, 64]`` the coefficients whose two frequencies (0 to 7) add up to ``low`` ≤ sum < ``high``."""
    return power[:, _coefficients(low, high, str(power.device))]


@lru_cache(maxsize=16)
def _coefficients(low: int, high: int, device: str) -> Tensor:
    """Their indices, kept on the device."""
    with torch.inference_mode(False):
        order = torch.arange(8)[:, None] + torch.arange(8)[None]
        return ((order >= low) & (order < high)).flatten().nonzero().flatten().to(device)


def _stride(rgb: Tensor) -> int:
    """Pixels from block to block."""
    stride = 2
    while rgb.shape[-2] * rgb.shape[-1] > _MOST_BLOCKS * stride**2:
        stride *= 2
    return stride
