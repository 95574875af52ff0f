"""The faults of video tape on a clip, each switched by itself, and the truth: which pixels each of them harmed.

Sources of the defaults: head switching and tracking noise after the published settings of ntsc-rs (8 rows, 72 px of
720; bands of 24 rows with waves of 5 px); bandwidths after IEC 60774-1 (VHS: luma about 3 MHz; colour-under at 627 kHz
in PAL and 629 kHz in NTSC leaves about 0.4 MHz of colour), IEC 60774-3 (S-VHS: luma about 5 MHz), IEC 60841 (8 mm: luma
about 3.2 MHz), IEC 60712 (U-matic: about 3.3 MHz and 0.6 MHz) and IEC 60961 (Betacam SP, components: 5.5 and 2 MHz);
composite video after SMPTE 170M and ITU-R BT.1700 (see :mod:`vidsr.training.degradation.tape.composite`). Lengths and
numbers of dropouts are this project's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.filters.tape.colour_band import sampling_rate
from vidsr.frames import Floats
from vidsr.options.schema import Options, opt
from vidsr.training.degradation.tape import lines
from vidsr.training.degradation.tape.composite import STANDARDS, through_composite
from vidsr.training.degradation.tape.signal import delayed, low_passed, ringing

Mask = npt.NDArray[np.bool_]
#: A pixel is harmed if a channel of it changed by more than this; 1 is full scale.
HARMED = 2 / 255
#: U and V of ITU-R BT.1700, from R'G'B'.
_TO_YUV = np.array(
    [[0.299, 0.587, 0.114], [-0.147407, -0.289391, 0.436798], [0.614777, -0.514799, -0.099978]], np.float64
)
_TO_RGB = np.linalg.inv(_TO_YUV)


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeFaults(Options):
    """Which faults a clip gets, and how strong. Lengths are px of the clip's own width; 0 or "none" leaves one out."""

    composite: str = opt("none", "Encode to composite video and decode again.", choices=("none", "ntsc", "pal"))
    decoder: str = opt("notch", "How the composite decoder separates luma and colour.", choices=("notch", "comb"))
    luma_bandwidth: float = opt(0.0, "Bandwidth of luma, MHz; 0 leaves it as it is.", between=(0, 10))
    chroma_bandwidth: float = opt(0.0, "Bandwidth of colour, MHz; 0 leaves it as it is.", between=(0, 10))
    chroma_delay: float = opt(0.0, "Colour lies this far to the right of luma, px.", between=(-32, 32))
    ringing: float = opt(0.0, "How much the frequencies around the ringing are raised.", between=(0, 4))
    ringing_frequency: float = opt(2.2, "Frequency of the ringing, MHz.", between=(0.5, 6))
    wobble: float = opt(0.0, "Standard deviation of the time-base error of lines, px.", between=(0, 16))
    tracking_rows: int = opt(0, "Rows of the band of tracking noise.", between=(0, 200))
    tracking_shift: float = opt(5.0, "Largest waves within that band, px.", between=(0, 64))
    head_switching_rows: int = opt(0, "Rows of the head-switching band at the bottom.", between=(0, 64))
    head_switching_shift: float = opt(32.0, "Displacement of its last row, px.", between=(-128, 128))
    dropouts: float = opt(0.0, "Dropouts per frame, on average.", between=(0, 100))
    dropout_fill: str = opt("mixed", "What a dropout shows.", choices=(*lines.FILLS, "mixed"))
    line_width: int = opt(0, "Width of a whole line if the clip is a part of it, px; 0: its own.", between=(0, None))
    interlaced: bool = opt(False, "Dropouts of several lines hit every second one.", "--interlaced/--progressive")


#: What is usual for worn tapes of a format; each fault can be changed with ``dataclasses.replace``.
FORMATS: dict[str, TapeFaults] = {
    "vhs": TapeFaults(
        luma_bandwidth=3.0,
        chroma_bandwidth=0.4,
        chroma_delay=4.0,
        ringing=0.5,
        wobble=0.4,
        head_switching_rows=8,
        dropouts=1.5,
    ),
    "s-vhs": TapeFaults(
        luma_bandwidth=5.0, chroma_bandwidth=0.4, chroma_delay=3.0, ringing=0.3, wobble=0.3, head_switching_rows=8
    ),
    "video8": TapeFaults(
        luma_bandwidth=3.2, chroma_bandwidth=0.4, chroma_delay=3.0, ringing=0.4, wobble=0.4, dropouts=3.0
    ),
    "u-matic": TapeFaults(
        luma_bandwidth=3.3, chroma_bandwidth=0.6, chroma_delay=2.0, head_switching_rows=6, dropouts=2.0
    ),
    "betacam": TapeFaults(luma_bandwidth=5.5, chroma_bandwidth=2.0, dropouts=0.5),
    "laserdisc": TapeFaults(composite="ntsc", decoder="comb", dropouts=1.0, dropout_fill="white"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeDamage:
    """A damaged clip ``[T, H, W, 3]`` float32, 0 to 1; and which pixels ``[T, H, W]`` each fault harmed."""

    clip: Floats
    by_fault: dict[str, Mask]

    @property
    def mask(self) -> Mask:
        """Pixels that any fault harmed, ``[T, H, W]`` bool."""
        harmed: Mask = np.logical_or.reduce([np.zeros(self.clip.shape[:3], np.bool_), *self.by_fault.values()])
        return harmed


def damaged(clip: Floats, faults: TapeFaults, seed: int) -> TapeDamage:
    """A clip as a worn tape would give it back, in the order of the signal: composite, tape, time base, dropouts.

    Each fault draws from a generator of its own, so that switching one changes nothing in the others.

    Args:
        clip: ``[T, H, W, 3]`` R'G'B' float32, 0 to 1.
        faults: which faults, and how strong.
        seed: the same clip, faults and seed give the same result.
    """
    yuv = np.asarray(clip @ _TO_YUV.T.astype(np.float32), np.float32)
    by_fault: dict[str, Mask] = {}
    rgb = clip
    for number, step in enumerate(_steps(faults, clip.shape[2])):
        if not step.strength:
            continue
        yuv = step.apply(yuv, np.random.default_rng([seed, number]))
        new = np.asarray(yuv @ _TO_RGB.T.astype(np.float32), np.float32).clip(0, 1)
        by_fault[step.name] = np.abs(new - rgb).max(-1) > HARMED
        rgb = new
    return TapeDamage(clip=rgb, by_fault=by_fault)


@dataclass(frozen=True, slots=True)
class _Step:
    """One fault: left out if its ``strength`` is 0; ``apply`` takes and gives YUV."""

    name: str
    strength: float
    apply: Callable[[Floats, np.random.Generator], Floats]


def _steps(f: TapeFaults, width: int) -> list[_Step]:
    """All faults, in the order in which they happen."""
    rate = sampling_rate(f.line_width or width)

    def luma(change: Callable[[Floats], Floats]) -> Callable[[Floats, np.random.Generator], Floats]:
        return lambda x, _: _on(x, (0,), change)

    def colour(change: Callable[[Floats], Floats]) -> Callable[[Floats, np.random.Generator], Floats]:
        return lambda x, _: _on(x, (1, 2), change)

    def band(x: Floats, rng: np.random.Generator) -> Floats:
        return lines.head_switching(x, f.head_switching_rows, f.head_switching_shift, rng)

    def tracking(x: Floats, rng: np.random.Generator) -> Floats:
        return lines.tracking_noise(x, f.tracking_rows, f.tracking_shift, rng)

    def lost(x: Floats, rng: np.random.Generator) -> Floats:
        return lines.dropouts(x, f.dropouts, f.dropout_fill, rng, rate=rate, interlaced=f.interlaced)

    def composite(x: Floats, _: np.random.Generator) -> Floats:
        return through_composite(x, STANDARDS[f.composite], "comb" if f.decoder == "comb" else "notch", rate)

    return [
        _Step("composite", f.composite in STANDARDS, composite),
        _Step("bandwidth", f.luma_bandwidth, luma(lambda p: low_passed(p, f.luma_bandwidth, rate))),
        _Step("bleed", f.chroma_bandwidth, colour(lambda p: low_passed(p, f.chroma_bandwidth, rate))),
        _Step("delay", f.chroma_delay, colour(lambda p: delayed(p, f.chroma_delay))),
        _Step("ringing", f.ringing, luma(lambda p: ringing(p, f.ringing, f.ringing_frequency, rate))),
        _Step("wobble", f.wobble, lambda x, rng: lines.wobbled(x, f.wobble, rng)),
        _Step("tracking", f.tracking_rows, tracking),
        _Step("head switching", f.head_switching_rows, band),
        _Step("dropouts", f.dropouts, lost),
    ]


def _on(yuv: Floats, planes: tuple[int, ...], change: Callable[[Floats], Floats]) -> Floats:
    out = yuv.copy()
    for n in planes:
        out[..., n] = change(yuv[..., n])
    return out
