"""Video compression of a patch: a short clip with slight motion is encoded and decoded, and its middle frame used.

Sources: RealBasicVSR (arXiv 2111.12704) for bit rates, AnimeSR (arXiv 2206.07038) and VCISR (arXiv 2311.00996) for
qualities, codecs and presets. Everything is in memory: packets go from the encoder straight to the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.errors import TrainingError
from vidsr.training.degradation.options import CodecOptions

ENCODERS = {"mpeg2": "mpeg2video", "mpeg4": "mpeg4", "h264": "libx264", "h265": "libx265"}
RATE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How a clip is compressed: ``quality`` is the CRF or quantiser, unless ``bitrate`` (bits/s) is given."""

    codec: str
    quality: int = 23
    bitrate: int | None = None
    preset: str = "medium"
    extra: dict[str, str] = field(default_factory=dict)


def draw(options: CodecOptions, area: int, rng: np.random.Generator) -> Compression:
    """A random compression, as the options specify, for frames of ``area`` pixels."""
    weights = np.array(list(options.codecs.values()))
    codec = str(rng.choice(list(options.codecs), p=weights / weights.sum()))
    old = codec.startswith("mpeg")
    low, high = options.quantiser if old else options.crf
    quality = int(rng.integers(low, high + 1)) + (5 if codec == "h265" else 0)
    bitrate = None
    if rng.random() < options.bitrate_chance:
        bitrate = int(rng.uniform(*options.bitrate) * area / 4096)
    preset = str(rng.choice(options.presets))
    return Compression(codec=codec, quality=min(quality, 51), bitrate=bitrate, preset=preset)


def compressed(x: Tensor, options: CodecOptions, rng: np.random.Generator) -> Tensor:
    """The middle frame of a compressed clip of ``[3, H, W]`` in 0..1; same shape."""
    how = draw(options, x.shape[1] * x.shape[2], rng)
    drift = rng.integers(-1, 2, size=2)
    pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    middle = options.frames // 2
    clip = [_moved(pixels, (i - middle) * drift) for i in range(options.frames)]
    return torch.from_numpy(round_trip(clip, how)[middle]).permute(2, 0, 1).float() / 255


def _moved(pixels: npt.NDArray[np.uint8], by: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Shifted by whole pixels, the edge repeated."""
    top, left = (int(v) for v in by)
    reach = max(abs(top), abs(left))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = pixels.shape[:2]
    return padded[reach + top : reach + top + height, reach + left : reach + left + width]


def round_trip(clip: list[npt.NDArray[np.uint8]], how: Compression) -> list[npt.NDArray[np.uint8]]:
    """Encode and decode frames ``[H, W, 3]`` RGB uint8 of one size; exactly as many come back.

    Sizes are padded to multiples of 16, and to the codecs' minimum size of 64, by repeating the edge.

    Raises:
        TrainingError: the encoder is missing in this FFmpeg or fails, or frames are lost.
    """
    height, width = clip[0].shape[:2]
    padded_height, padded_width = max(64, -(-height // 16) * 16), max(64, -(-width // 16) * 16)
    border = ((0, padded_height - height), (0, padded_width - width), (0, 0))
    try:
        encoder = _encoder(how, padded_width, padded_height)
        packets = []
        for number, frame in enumerate(clip):
            picture = av.VideoFrame.from_ndarray(np.pad(frame, border, mode="edge"), format="rgb24")
            picture = picture.reformat(format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            packets += encoder.encode(picture)
        packets += encoder.encode(None)
        decoder: Any = av.CodecContext.create({"mpeg2": "mpeg2video", "h265": "hevc"}.get(how.codec, how.codec), "r")
        decoder.extradata = encoder.extradata
        decoder.thread_count = 1
        frames = [f for packet in packets for f in decoder.decode(packet)]
        # Without the flush the codecs withhold the frames that they buffer for reordering.
        frames += decoder.decode(None)
    except (av.FFmpegError, ValueError) as error:
        raise TrainingError(f"codec degradation {how}: {error}") from error
    if len(frames) != len(clip):
        raise TrainingError(f"codec degradation {how}: {len(clip)} frames went in, {len(frames)} came out")
    return [f.to_ndarray(format="rgb24")[:height, :width] for f in frames]


def _encoder(how: Compression, width: int, height: int) -> Any:
    encoder: Any = av.CodecContext.create(ENCODERS[how.codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
    encoder.thread_count = 1
    options = dict(how.extra)
    if how.codec in ("h264", "h265"):
        options["preset"] = how.preset
        if how.codec == "h265":
            options["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    if how.bitrate is not None:
        encoder.bit_rate = how.bitrate
    elif how.codec in ("h264", "h265"):
        options["crf"] = str(how.quality)
    else:
        encoder.qmin = encoder.qmax = how.quality
        options["flags"] = "+qscale"
        options["global_quality"] = str(how.quality * 118)  # FF_QP2LAMBDA
    encoder.options = options
    return encoder
