"""What the steps after the network do to whole sequences: flicker, PSNR and LPIPS, on clean and on damaged sources.

    python -m benchmarks.quality.restoration --measure temporal.py --cache FOLDER \\
        foliage=vid4/foliage carphone=carphone_pristine.mp4:0:31 bunny=bigbuckbunny.mp4:40:31:384x256

A sequence is NAME=PLACE[:FIRST:COUNT[:WIDTHxHEIGHT]]: a folder of PNGs or a video, and what of it to take (a middle
part of that size); or a picture, over which a part of that size moves. Each is reduced by four with area averaging,
rounded to 8 bits, damaged, enlarged by the network, and treated by the steps after it. Warping error (against the
truth's own, and against "plain") is defined by the script given as ``--measure``, which needs ``flows_and_masks``,
``warp`` and ``warping_error``; PSNR is over RGB, frame by frame; LPIPS is on AlexNet, on every fifth frame. ``--seams``
measures the joints of segments in place of the tables. The network's pictures are kept in the cache, so that variants
are quick.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vidsr.filters.after.post import post_steps, warmup
from vidsr.filters.resample import area_down, cubic_up
from vidsr.frames import PixelFormat
from vidsr.inference.colour import rgb8_of
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.pictures.files import is_picture
from vidsr.media.pictures.frame_files import PICTURE_COLOUR
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips

SCALE = 4
EVERY = 5
Clip = npt.NDArray[np.uint8]  # [frames, height, width, 3]

#: What is compared, as the settings of the steps; None is a plain bicubic enlargement.
VARIANTS: dict[str, RestoreOptions | None] = {
    "plain": RestoreOptions(fidelity=0.0, colour_lock=False),
    "bicubic": None,
    "fidelity": RestoreOptions(colour_lock=False),
    "fidelity, colour lock (the default)": RestoreOptions(),
    "stabilise": RestoreOptions(fidelity=0.0, stabilize=0.8, colour_lock=False),
    "stabilise, colour lock": RestoreOptions(fidelity=0.0, stabilize=0.8),
    "stabilise, fidelity": RestoreOptions(stabilize=0.8, colour_lock=False),
    "stabilise, fidelity, colour lock": RestoreOptions(stabilize=0.8),
}


@dataclass(frozen=True, slots=True)
class Sequence:
    """High-resolution frames by name."""

    name: str
    truth: Clip


def read_sequence(text: str) -> Sequence:
    """The frames that ``NAME=PLACE[:FIRST:COUNT[:WxH]]`` means, cut to sides that are multiples of the scale."""
    name, _, rest = text.partition("=")
    place, *numbers = rest.split(":")
    first, count = (int(n) for n in (numbers[:2] or ("0", "31")))
    if is_picture(Path(place)) and len(numbers) > 2:
        width, height = (int(side) for side in numbers[2].split("x"))
        return Sequence(name, _moved_over(np.asarray(Image.open(place).convert("RGB")), count, height, width))
    if Path(place).is_dir():
        paths = sorted(Path(place).glob("*.png"))[first : first + count]
        frames = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    else:
        frames = [rgb8_of(f) for f in islice(read_frames(probe(Path(place))), first, first + count)]
    clip = np.stack(frames)
    height, width = (side // SCALE * SCALE for side in clip.shape[1:3])
    if len(numbers) > 2:
        width, height = (int(side) for side in numbers[2].split("x"))
    top, left = (clip.shape[1] - height) // 2, (clip.shape[2] - width) // 2
    return Sequence(name, np.ascontiguousarray(clip[:, top : top + height, left : left + width]))


def _moved_over(picture: Clip, count: int, height: int, width: int) -> Clip:
    """``count`` frames of that size around the middle of a picture, each three pixels further right and one down."""
    room = picture.shape[0] - height, picture.shape[1] - width
    down, right = (min(most, side // max(1, count - 1)) for most, side in zip((1, 3), room, strict=True))
    top, left = (room[0] - down * (count - 1)) // 2, (room[1] - right * (count - 1)) // 2
    corners = [(top + down * n, left + right * n) for n in range(count)]
    return np.stack([picture[y : y + height, x : x + width] for y, x in corners])


def tensor_of(clip: Clip) -> Tensor:
    """``[N, 3, H, W]``, 0 to 1."""
    return torch.tensor(clip).permute(0, 3, 1, 2).float() / 255


def rounded(pictures: Tensor) -> Clip:
    """The inverse of :func:`tensor_of`, as an 8-bit file would hold it."""
    codes: Clip = (pictures * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return codes


def reduced(truth: Clip) -> Clip:
    """A quarter of the size by area averaging, rounded to 8 bits."""
    return np.concatenate(
        [rounded(area_down(tensor_of(f[None]), (f.shape[0] // SCALE, f.shape[1] // SCALE))) for f in truth]
    )


def with_noise(clip: Clip, sigma: float = 5) -> Clip:
    """White Gaussian noise of ``sigma`` code values, new in each frame."""
    noise = np.random.default_rng(0).normal(0, sigma, clip.shape)
    return np.clip(np.rint(clip + noise), 0, 255).astype(np.uint8)


def as_jpeg(clip: Clip, quality: int = 40) -> Clip:
    """Each frame through JPEG and back."""

    def one(frame: Clip) -> Clip:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))

    return np.stack([one(frame) for frame in clip])


def as_x264(clip: Clip, crf: int = 32) -> Clip:
    """The sequence through x264, preset medium, 4:2:0, and back."""
    return through_codec(clip, "-c:v", "libx264", "-crf", str(crf))


def through_codec(clip: Clip, *encoder: str) -> Clip:
    """The sequence through an encoder of ffmpeg, 4:2:0, and back."""
    count, height, width, _ = clip.shape
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24")
    coded = _ffmpeg(
        (*raw, "-s", f"{width}x{height}", "-r", "25", "-i", "-", *encoder),
        ("-pix_fmt", "yuv420p", "-threads", "1", "-f", "nut", "-"),
        clip.tobytes(),
    )
    back = np.frombuffer(_ffmpeg(("-f", "nut", "-i", "-"), (*raw, "-"), coded), np.uint8)
    return back.reshape(count, height, width, 3)


def write_lossless(clip: Clip, path: Path) -> None:
    """The sequence as FFV1 in RGB, 25 frames a second."""
    size = f"{clip.shape[2]}x{clip.shape[1]}"
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "25", "-i", "-")
    _ffmpeg(raw, ("-c:v", "ffv1", "-pix_fmt", "gbrp", "-y", str(path)), clip.tobytes())


def _ffmpeg(before: tuple[str, ...], after: tuple[str, ...], data: bytes) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *before, *after]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


DAMAGES: dict[str, Callable[[Clip], Clip]] = {
    "clean": lambda clip: clip,
    "noise, sigma 5": with_noise,
    "JPEG, quality 40": as_jpeg,
    "x264, crf 32": as_x264,
}


@torch.inference_mode()
def enlarged(upscaler: Upscaler, source: Clip, cache: Path) -> Iterator[Tensor]:
    """The network's pictures ``[1, 3, H, W]``, from the cache where they are."""
    for frame in source:
        name = hashlib.sha256(frame.tobytes() + str(frame.shape).encode()).hexdigest()[:24]
        path = cache / f"{name}.npy"
        if not path.exists():
            out = upscaler.fitted(tensor_of(frame[None])).float().numpy()
            with path.with_suffix(".part").open("wb") as file:
                np.save(file, out)
            path.with_suffix(".part").replace(path)
        yield torch.from_numpy(np.load(path))


@torch.inference_mode()
def treated(settings: RestoreOptions | None, source: Clip, pictures: Iterator[Tensor]) -> Clip:
    """The result of a variant. The steps see frames one by one, as they do on a device with a batch of one."""
    frames = [_frame_of(picture, n) for n, picture in enumerate(source)]
    steps = [] if settings is None else post_steps(settings)
    results = []
    for n, out in enumerate(pictures):
        low = tensor_of(source[n : n + 1])
        result = cubic_up(low, (out.shape[-2], out.shape[-1])) if settings is None else out
        for step in steps:
            result = step(low, result, [frames[n]])
        results.append(rounded(result))
    return np.concatenate(results)


def _frame_of(picture: Clip, number: int) -> Any:
    from fractions import Fraction

    from vidsr.frames import Frame

    format = PixelFormat.parse("gbrp")
    assert format is not None
    planes = tuple(picture[..., channel] for channel in (1, 2, 0))
    return Frame(
        planes=planes, format=format, colour=PICTURE_COLOUR, index=number, pts=number, time_base=Fraction(1, 25)
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one result."""

    flicker: float
    psnr: float
    lpips: float


class Judge:
    """Measures results against one true sequence."""

    def __init__(self, truth: Clip, measure: ModuleType, distance: Lpips) -> None:
        self._truth, self._measure, self._distance = truth, measure, distance
        self._motion = list(measure.flows_and_masks(self._floats(truth)))
        self.own_flicker = float(measure.warping_error(self._floats(truth), self._motion))

    @staticmethod
    def _floats(clip: Clip) -> list[npt.NDArray[np.float32]]:
        return [f.astype(np.float32) / 255 for f in clip]

    def step(self, before: Clip, now: Clip, at: int) -> float:
        """Warping error between two results, the later one of frame ``at``."""
        flow, seen = self._motion[at - 1]
        first, second = self._floats(np.stack((before, now)))
        return float(((second - self._measure.warp(first, flow)) ** 2).mean(-1)[seen].mean())

    @torch.inference_mode()
    def of(self, clip: Clip) -> Figures:
        """The figures of one result."""
        error = ((clip.astype(np.float64) - self._truth) ** 2).mean((1, 2, 3))
        picked = range(0, len(clip), EVERY)
        far = [self._distance(tensor_of(clip[n : n + 1]), tensor_of(self._truth[n : n + 1])).item() for n in picked]
        return Figures(
            flicker=float(self._measure.warping_error(self._floats(clip), self._motion)),
            psnr=float(np.mean(10 * np.log10(255**2 / error))),
            lpips=float(np.mean(far)),
        )


def report(sequence: Sequence, damage: str, judge: Judge, upscaler: Upscaler, cache: Path) -> None:
    """Print the table of one sequence with one kind of damage."""
    source = DAMAGES[damage](reduced(sequence.truth))
    _, height, width, _ = sequence.truth.shape
    print(f"\n{sequence.name}, {len(source)} frames of {width}x{height}, {damage}", flush=True)
    plain: Figures | None = None
    for name, settings in VARIANTS.items():
        found = judge.of(treated(settings, source, enlarged(upscaler, source, cache)))
        plain = plain or found
        print(
            f"  {name:<36} warping error {found.flicker / judge.own_flicker:5.2f} x truth "
            f"({found.flicker / plain.flicker - 1:+6.1%})  PSNR {found.psnr:6.2f} dB ({found.psnr - plain.psnr:+.2f})  "
            f"LPIPS {found.lpips:.4f} ({found.lpips / plain.lpips - 1:+6.1%})",
            flush=True,
        )


def seams(sequence: Sequence, damage: str, judge: Judge, upscaler: Upscaler, cache: Path) -> None:
    """Print how much more flicker there is where one segment ends and the next, warmed up again, begins."""
    settings = RestoreOptions(stabilize=0.8)
    source = DAMAGES[damage](reduced(sequence.truth))
    pictures = list(enlarged(upscaler, source, cache))
    whole, early = treated(settings, source, iter(pictures)), warmup(post_steps(settings))
    ratios = []
    for cut in range(early + 2, len(source), 2):
        fresh = treated(settings, source[cut - early : cut + 1], iter(pictures[cut - early : cut + 1]))
        ratios.append(judge.step(whole[cut - 1], fresh[-1], cut) / judge.step(whole[cut - 1], whole[cut], cut))
    print(
        f"{sequence.name}, {damage}: warping error at {len(ratios)} places where a segment could begin, against the "
        f"same place inside one: x {np.mean(ratios):.3f}, at most x {max(ratios):.3f}; {early} frames of warm-up"
    )


def load_measure(path: Path) -> ModuleType:
    """The script given as ``--measure``."""
    spec = importlib.util.spec_from_file_location("measure", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read the arguments, print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--measure", type=Path, required=True, help="the script that defines the warping error")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the network's pictures")
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument("--seams", action="store_true", help="the joints of segments in place of the tables")
    wanted = parser.parse_args()
    upscaler = Upscaler(ModelOptions(model=wanted.model, device="cpu"))
    cache = wanted.cache / wanted.model
    cache.mkdir(parents=True, exist_ok=True)
    measure, distance = load_measure(wanted.measure), Lpips("alex")
    for text in wanted.sequences:
        sequence = read_sequence(text)
        judge = Judge(sequence.truth, measure, distance)
        for damage in wanted.damage or DAMAGES:
            (seams if wanted.seams else report)(sequence, damage, judge, upscaler, cache)


if __name__ == "__main__":
    main()
