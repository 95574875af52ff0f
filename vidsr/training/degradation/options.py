"""Options of the degradations, with their published values as defaults.

Sources: Real-ESRGAN (arXiv 2107.10833, section 3 and its published training options) for the two orders of blur,
resize, noise and JPEG; RealBasicVSR (arXiv 2111.12704), AnimeSR (arXiv 2206.07038) and VCISR (arXiv 2311.00996)
for the codecs' ranges. The film and tape tables are this project's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vidsr.options.schema import Options, opt, weights

KERNELS = ("iso", "aniso", "generalised_iso", "generalised_aniso", "plateau_iso", "plateau_aniso")
_KERNEL_WEIGHTS = dict(zip(KERNELS, (0.45, 0.25, 0.12, 0.03, 0.12, 0.03), strict=True))
_RANGE = "LOW,HIGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOptions(Options):
    """One order of the Real-ESRGAN pipeline: blur, resize, noise, JPEG."""

    blur_chance: float = opt(1.0, "Chance that this order blurs.", between=(0, 1))
    kernel_size: tuple[int, int] = opt(
        (7, 21), "Smallest and largest blur kernel; odd.", between=(3, 51), metavar=_RANGE
    )
    kernels: dict[str, float] = weights(_KERNEL_WEIGHTS, "Relative weights of the kernel shapes.")  # noqa: RUF009
    sinc_chance: float = opt(0.1, "Chance of a sinc (ringing) kernel instead of those.", between=(0, 1))
    sigma: tuple[float, float] = opt(
        (0.2, 3.0), "Standard deviations of the blur, px.", between=(0.01, 20), metavar=_RANGE
    )
    beta_gaussian: tuple[float, float] = opt(
        (0.5, 4.0), "Shape exponent of generalised Gaussian kernels.", between=(0.1, 20), metavar=_RANGE
    )
    beta_plateau: tuple[float, float] = opt(
        (1.0, 2.0), "Shape exponent of plateau kernels.", between=(0.1, 20), metavar=_RANGE
    )
    resize_weights: tuple[float, float, float] = opt(
        (0.2, 0.7, 0.1), "Relative weights of enlarging, shrinking, keeping the size.", between=(0, None)
    )
    resize: tuple[float, float] = opt((0.15, 1.5), "Scales of the resize.", between=(0.05, 4), metavar=_RANGE)
    gaussian_chance: float = opt(0.5, "Chance of Gaussian noise; otherwise Poisson noise.", between=(0, 1))
    gaussian: tuple[float, float] = opt(
        (1.0, 30.0), "Standard deviation of Gaussian noise, of 255.", between=(0, 255), metavar=_RANGE
    )
    poisson: tuple[float, float] = opt((0.05, 3.0), "Scale of Poisson noise.", between=(0, 20), metavar=_RANGE)
    gray_noise_chance: float = opt(0.4, "Chance that noise is the same in all colours.", between=(0, 1))
    jpeg: tuple[int, int] = opt((30, 95), "JPEG qualities.", between=(1, 100), metavar=_RANGE)

    def cross_faults(self) -> Iterator[str]:
        """Kernel sizes are odd, kernel names known, weights not all zero."""
        if not all(size % 2 for size in self.kernel_size):
            yield f"kernel_size = {list(self.kernel_size)}: both must be odd"
        for name in self.kernels:
            if name not in KERNELS:
                yield f"kernels: {name} is unknown; choose from {', '.join(KERNELS)}"
        if sum(self.kernels.values()) <= 0 or sum(self.resize_weights) <= 0:
            yield "kernels and resize_weights: at least one weight must be above 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecOptions(Options):
    """Video compression: of single patches as a short clip with slight motion, of clips as they are."""

    chance: float = opt(0.0, "Chance that a patch or clip is compressed.", between=(0, 1))
    codecs: dict[str, float] = weights(  # noqa: RUF009
        {"mpeg2": 0.2, "mpeg4": 0.2, "h264": 0.4, "h265": 0.2}, "Relative weights of the codecs."
    )
    crf: tuple[int, int] = opt(
        (20, 32), "Constant quality of H.264; H.265 takes 5 more.", between=(0, 51), metavar=_RANGE
    )
    quantiser: tuple[int, int] = opt((3, 14), "Quantiser of MPEG-2 and MPEG-4.", between=(1, 31), metavar=_RANGE)
    bitrate_chance: float = opt(0.0, "Chance of aiming at a bit rate instead of a quality.", between=(0, 1))
    bitrate: tuple[float, float] = opt(
        (1e4, 1e5),
        "Bits per second of a 64×64 patch at 25 frames/s; grows with the area.",
        between=(1e3, 1e8),
        metavar=_RANGE,
    )
    presets: tuple[str, ...] = opt(
        ("superfast", "veryfast", "faster", "fast", "medium", "slow"),
        "Speed presets of H.264 and H.265.",
        choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"),
    )
    frames: int = opt(3, "Frames of the clip made of a patch; the middle one is used.", between=(1, 16))

    def cross_faults(self) -> Iterator[str]:
        """Codec names are known."""
        for name in self.codecs:
            if name not in ("mpeg2", "mpeg4", "h264", "h265"):
                yield f"codecs: {name} is unknown; choose from mpeg2, mpeg4, h264, h265"
        if sum(self.codecs.values()) <= 0:
            yield "codecs: at least one weight must be above 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeOptions(Options):
    """Traces of analogue video tape and broadcast."""

    interlace_chance: float = opt(0.0, "Chance of combing: the two fields shifted against each other.", between=(0, 1))
    interlace_shift: tuple[float, float] = opt(
        (0.5, 4.0), "Shift between the fields, px.", between=(0, 16), metavar=_RANGE
    )
    bleed_chance: float = opt(0.0, "Chance of chroma bleed: colour smeared and moved to the right.", between=(0, 1))
    bleed: tuple[float, float] = opt((1.0, 6.0), "Length of the smear, px.", between=(0, 32), metavar=_RANGE)
    noise_chance: float = opt(0.0, "Chance of tape noise: streaks along the lines, stronger in colour.", between=(0, 1))
    noise: tuple[float, float] = opt((1.0, 12.0), "Strength of the noise, of 255.", between=(0, 128), metavar=_RANGE)
    jitter_chance: float = opt(0.0, "Chance that lines are displaced horizontally against each other.", between=(0, 1))
    jitter: tuple[float, float] = opt(
        (0.1, 0.8), "Standard deviation of the displacement, px.", between=(0, 8), metavar=_RANGE
    )
    composite_chance: float = opt(
        0.0, "Chance of composite video, NTSC or PAL: dot crawl and false colour on fine detail.", between=(0, 1)
    )
    ringing_chance: float = opt(0.0, "Chance that edges ring.", between=(0, 1))
    ringing: tuple[float, float] = opt(
        (0.2, 1.5), "How much frequencies around 2.2 MHz are raised.", between=(0, 4), metavar=_RANGE
    )
    dropout_chance: float = opt(0.0, "Chance of dropouts: parts of lines lost.", between=(0, 1))
    dropouts: tuple[float, float] = opt((1.0, 6.0), "Dropouts per patch.", between=(0, 100), metavar=_RANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOptions(Options):
    """Traces of age on film."""

    dust_chance: float = opt(0.0, "Chance of dust specks.", between=(0, 1))
    dust: tuple[float, float] = opt((1.0, 8.0), "Specks per 128×128 pixels.", between=(0, 100), metavar=_RANGE)
    scratch_chance: float = opt(0.0, "Chance of scratches along the film.", between=(0, 1))
    scratches: tuple[int, int] = opt((1, 3), "Number of scratches.", between=(0, 20), metavar=_RANGE)
    grain_chance: float = opt(
        0.0, "Chance of film grain: noise larger than a pixel, strongest in the mid-tones.", between=(0, 1)
    )
    grain: tuple[float, float] = opt((2.0, 14.0), "Strength of the grain, of 255.", between=(0, 128), metavar=_RANGE)
    fade_chance: float = opt(0.0, "Chance of faded dyes: each colour loses density at its own rate.", between=(0, 1))
    fade: tuple[float, float] = opt(
        (0.05, 0.5), "Share of the density that a dye loses.", between=(0, 0.95), metavar=_RANGE
    )
    breathing_chance: float = opt(0.0, "Chance of brightness that varies slowly across the picture.", between=(0, 1))
    breathing: tuple[float, float] = opt(
        (0.02, 0.15), "Strength of that variation: RMS of the gain.", between=(0, 0.5), metavar=_RANGE
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTimeOptions(Options):
    """What clips suffer over time, in addition to the tables above. Stills have none of it."""

    shake_chance: float = opt(
        0.0, "Chance of camera shake, the same in the original and its low-resolution clip.", between=(0, 1)
    )
    shake: tuple[float, float] = opt(
        (0.5, 6.0), "Shake: RMS, px of the original; whole pixels of it.", between=(0, 64), metavar=_RANGE
    )
    flicker_chance: float = opt(0.0, "Chance of film whose exposure is unsteady.", between=(0, 1))
    flicker: tuple[float, float] = opt((0.02, 0.12), "Flicker: RMS of the gain.", between=(0, 0.5), metavar=_RANGE)
    tracking_chance: float = opt(
        0.0, "Chance of tracking noise: a band of waves and snow that climbs through the picture.", between=(0, 1)
    )
    tracking_rows: tuple[int, int] = opt((4, 24), "Rows of that band.", between=(1, 200), metavar=_RANGE)
    gop: tuple[int, int] = opt(
        (6, 60), "Frames from one keyframe of the codec to the next.", between=(1, 600), metavar=_RANGE
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationOptions(Options):
    """How low-resolution pictures are made from the dataset."""

    recipe: str = opt(
        "bicubic",
        "bicubic: MATLAB's, nothing else. second_order: Real-ESRGAN's, and codec, tape and film where their chance "
        "is above 0. paired: the dataset's own low-resolution pictures.",
        choices=("bicubic", "second_order", "paired"),
    )
    first: OrderOptions = field(default_factory=OrderOptions)
    second: OrderOptions = field(
        default_factory=lambda: OrderOptions(
            blur_chance=0.8,
            sigma=(0.2, 1.5),
            resize_weights=(0.3, 0.4, 0.3),
            resize=(0.3, 1.2),
            gaussian=(1.0, 25.0),
            poisson=(0.05, 2.5),
        )
    )
    final_sinc_chance: float = opt(0.8, "Chance of a sinc filter at the end.", between=(0, 1))
    codec: CodecOptions = field(default_factory=CodecOptions)
    tape: TapeOptions = field(default_factory=TapeOptions)
    film: FilmOptions = field(default_factory=FilmOptions)
    over_time: OverTimeOptions = field(default_factory=OverTimeOptions)
