"""Fit the error model of the map of invention (``vidsr/quality/invention/error_model.safetensors``).

    python -m scripts.fit_invention OUT.safetensors --cache FILE.pt PLACE…

Places are pictures and videos with detail worth enlarging. Each becomes clips of :data:`FRAMES` frames of 320x240:
parts of videos as they are, pictures by moving over them. Clips are reduced by four with area averaging; some stay
clean, others go through x264 or JPEG or get noise. They are enlarged by interpolation and by several networks, with the
steps of ``vidsr enhance``, and the evidence at random pixels of one frame is kept with the true error. A part of all
places is held out: training ends where the model knows those best. The cache keeps the examples, which take nearly all
of the time (about ten minutes on one core).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.filters.after.post import post_steps
from vidsr.filters.resample import area_down, cubic_up
from vidsr.frames import Frame, PixelFormat
from vidsr.inference.colour import rgb8_of
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.compare.invention import FramePair
from vidsr.media.decode import read_frames
from vidsr.media.pictures.files import is_picture
from vidsr.media.pictures.frame_files import PICTURE_COLOUR
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.invention.error_model import BOUND, OFFSET, ErrorModel, logarithms
from vidsr.quality.invention.evidence import KINDS, evidence

Clip = npt.NDArray[np.uint8]  # [frames, height, width, 3]

WIDTH, HEIGHT, SCALE = 320, 240, 4
FRAMES = 5
#: Clips of each picture, and of each video.
PICTURE_CLIPS, VIDEO_CLIPS = 1, 10
#: Pixels of each result that are learnt from, and those left out on its borders.
PIXELS, BORDER_PX = 1500, 8
HIDDEN = 32
#: Of the places, one in this many is held out.
HELD_OUT = 5
EPOCHS, BATCH = 4, 4096
#: Standard deviation of the noise that examples get while they are learnt, of the evidence's own.
JITTER = 0.1
NETWORKS: dict[str, ModelOptions] = {
    "faithful": ModelOptions(model="faithful", device="cpu"),
    "animevideov3": ModelOptions(model="realesr-animevideov3", device="cpu"),
    "general": ModelOptions(model="realesr-general-x4v3", device="cpu"),
    "general, denoise 0.3": ModelOptions(model="realesr-general-x4v3", denoise_strength=0.3, device="cpu"),
    "x4plus": ModelOptions(model="realesrgan-x4plus", device="cpu"),
}
#: Shares of the clips that get each damage.
DAMAGES = {"clean": 0.35, "x264": 0.45, "jpeg": 0.07, "noise": 0.06, "noise, x264": 0.07}
#: Shares of the clips that a network is tried on, where not all: the slow one, and variants.
TRIED = {"x4plus": 0.4, "general, denoise 0.3": 0.5}
STEPS = (
    RestoreOptions(),
    RestoreOptions(),
    RestoreOptions(),
    RestoreOptions(fidelity=0.0),
    RestoreOptions(strength=0.6),
)


@dataclass(frozen=True, slots=True)
class Examples:
    """Evidence ``[n, K]`` and true errors ``[n]`` in code values, with the number of the place of each ``[n]``."""

    evidence: Tensor
    error: Tensor
    place: Tensor


def clips_of(path: Path, chance: np.random.Generator) -> Iterator[Clip]:
    """True clips made of a file."""
    if is_picture(path):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        for _ in range(PICTURE_CLIPS):
            clip = _moved_over(pixels, chance)
            if clip is not None:
                yield clip
        return
    frames = [rgb8_of(frame) for frame in islice(read_frames(probe(path)), 120)]
    for _ in range(VIDEO_CLIPS if len(frames) > FRAMES else 0):
        first = int(chance.integers(0, len(frames) - FRAMES))
        clip = np.stack(frames[first : first + FRAMES])
        shrink = int(chance.integers(1, 3)) if min(clip.shape[1] // HEIGHT, clip.shape[2] // WIDTH) > 1 else 1
        if clip.shape[1] < HEIGHT * shrink or clip.shape[2] < WIDTH * shrink:
            return
        top = int(chance.integers(0, clip.shape[1] - HEIGHT * shrink + 1))
        left = int(chance.integers(0, clip.shape[2] - WIDTH * shrink + 1))
        part = clip[:, top : top + HEIGHT * shrink, left : left + WIDTH * shrink]
        yield _smaller(part, shrink) if shrink > 1 else np.ascontiguousarray(part)


def _moved_over(pixels: Clip, chance: np.random.Generator) -> Clip | None:
    """A clip that moves over a picture, at times softened; None where the picture is too small."""
    if pixels.shape[0] > pixels.shape[1]:
        pixels = np.ascontiguousarray(pixels.swapaxes(0, 1))
    room = pixels.shape[0] - HEIGHT, pixels.shape[1] - WIDTH
    if min(room) < 0:
        return None
    soft = float(chance.choice([0.0, 0.0, 0.7, 1.2]))
    if soft:
        import cv2

        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), soft), np.uint8)
    most = [min(6, side // (FRAMES - 1)) for side in room]
    speed = [int(chance.integers(0, m + 1)) for m in most]
    start = [int(chance.integers(0, side - v * (FRAMES - 1) + 1)) for side, v in zip(room, speed, strict=True)]
    corners = [(start[0] + n * speed[0], start[1] + n * speed[1]) for n in range(FRAMES)]
    clip = np.stack([pixels[y : y + HEIGHT, x : x + WIDTH] for y, x in corners])
    return clip[::-1].copy() if chance.random() < 0.5 else clip


def _tensor(clip: Clip) -> Tensor:
    return torch.tensor(clip).permute(0, 3, 1, 2).float() / 255


def _rounded(pictures: Tensor) -> Clip:
    codes: Clip = (pictures * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return codes


def _smaller(clip: Clip, by: int) -> Clip:
    return _rounded(area_down(_tensor(clip), (clip.shape[1] // by, clip.shape[2] // by)))


def damaged(clip: Clip, kind: str, chance: np.random.Generator) -> Clip:
    """A small clip with one of :data:`DAMAGES`, of random strength."""
    if "noise" in kind:
        clip = np.clip(np.rint(clip + chance.normal(0, chance.uniform(1.5, 8), clip.shape)), 0, 255).astype(np.uint8)
    if "x264" in kind:
        clip = _through_x264(clip, int(chance.integers(17, 35)))
    if kind == "jpeg":
        clip = np.stack([_through_jpeg(frame, int(chance.integers(35, 92))) for frame in clip])
    return clip


def _through_jpeg(frame: Clip, quality: int) -> Clip:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def _through_x264(clip: Clip, crf: int) -> Clip:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
        stream.options = {"crf": str(crf), "threads": "1"}
        for pixels in clip:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as back:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in back.decode(video=0)])


def results(source: Clip, networks: dict[str, Upscaler], chance: np.random.Generator) -> Iterator[list[Tensor]]:
    """The two frames of ``source`` enlarged in several ways, each ``[1, 3, H, W]``, rounded to 8 bits."""
    pictures = _tensor(source)
    yield [_tensor(_rounded(cubic_up(one, (HEIGHT, WIDTH)))) for one in torch.split(pictures, 1)]
    frames = [_frame(picture, number) for number, picture in enumerate(source)]
    for name, network in networks.items():
        if chance.random() >= TRIED.get(name, 1.0):
            continue
        steps = post_steps(STEPS[int(chance.integers(len(STEPS)))])
        made = []
        for number, one in enumerate(torch.split(pictures, 1)):
            out = network(one)
            for step in steps:
                out = step(one, out, [frames[number]])
            made.append(_tensor(_rounded(out)))
        yield made


def _frame(picture: Clip, number: int) -> Frame:
    format = PixelFormat.parse("gbrp")
    assert format is not None
    planes = tuple(picture[..., channel] for channel in (1, 2, 0))
    return Frame(
        planes=planes, format=format, colour=PICTURE_COLOUR, index=number, pts=number, time_base=Fraction(1, 25)
    )


@torch.inference_mode()
def examples(places: Sequence[Path], seed: int = 0) -> Examples:
    """Examples of all places."""
    networks = {name: Upscaler(options) for name, options in NETWORKS.items()}
    chance = np.random.default_rng(seed)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for number, place in enumerate(places):
        for truth in clips_of(place, chance):
            kind = str(chance.choice(list(DAMAGES), p=list(DAMAGES.values())))
            source = damaged(_smaller(truth, SCALE), kind, chance)
            at = int(chance.integers(1, FRAMES))
            pair, true = source[at - 1 : at + 1], _tensor(truth[at : at + 1])
            faithful = networks["faithful"](_tensor(pair[1:]))
            for before, now in results(pair, networks, chance):
                low = torch.split(_tensor(pair), 1)
                later, earlier = FramePair.of(low[1], now), FramePair.of(low[0], before)
                carried = later.carried(earlier) if chance.random() < 0.8 else None
                known = F.interpolate(
                    evidence(now, low[1], faithful, carried), size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False
                )
                error = (now - true).abs().mean(1) * 255
                rows = torch.from_numpy(chance.integers(BORDER_PX, HEIGHT - BORDER_PX, PIXELS))
                columns = torch.from_numpy(chance.integers(BORDER_PX, WIDTH - BORDER_PX, PIXELS))
                found.append(
                    (known[0, :, rows, columns].T.clone(), error[0, rows, columns], torch.full((PIXELS,), number))
                )
        print(f"{number + 1} of {len(places)}: {place.name}", flush=True)
    return Examples(*(torch.cat(parts) for parts in zip(*found, strict=True)))


class Network(nn.Module):
    """What :class:`ErrorModel` computes, to be learnt."""

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.mean, self.scale = nn.Parameter(mean, requires_grad=False), nn.Parameter(scale, requires_grad=False)
        self.hidden0, self.hidden1 = nn.Linear(len(KINDS), HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, 2)

    def model(self) -> ErrorModel:
        """The same for use, and for gradients while this is trained."""
        return ErrorModel(dict(self.named_parameters()))


def loss(network: Network, known: Tensor, error: Tensor) -> Tensor:
    """Negative logarithm of the likelihood of the errors, and of being within the bound, in nats per example."""
    said = network.model()(known[..., None, None])
    centre, width = said.centre.flatten(), said.width.flatten()
    far = ((error + OFFSET).log() - centre) / width
    right = (error <= BOUND).float()
    within = said.within().flatten().clamp(1e-4, 1 - 1e-4)
    return (far**2 / 2 + width.log()).mean() + 2 * F.binary_cross_entropy(within, right)


def fit(found: Examples, seed: int = 0) -> Network:
    """The network that knows the held-out places best."""
    torch.manual_seed(seed)
    held = found.place % HELD_OUT == 0
    seen = logarithms(found.evidence.float())
    network = Network(seen[~held].mean(0), seen[~held].std(0).clamp(min=1e-3))
    optimiser = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), 3e-3, weight_decay=0.02)
    known, error = found.evidence[~held].float(), found.error[~held].float()
    steps = EPOCHS * (len(known) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    best, kept = float("inf"), {name: p.detach().clone() for name, p in network.named_parameters()}
    for epoch in range(EPOCHS):
        order = torch.randperm(len(known))
        for part in order[: len(order) // BATCH * BATCH].split(BATCH):
            jittered = known[part] * (JITTER * torch.randn(BATCH, len(KINDS))).exp()
            optimiser.zero_grad()
            loss(network, jittered, error[part]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            now = float(loss(network, found.evidence[held].float(), found.error[held].float()))
        if now < best:
            best, kept = now, {name: p.detach().clone() for name, p in network.named_parameters()}
        print(f"epoch {epoch + 1}: held out {now:.4f}, best {best:.4f}", flush=True)
    with torch.no_grad():
        for name, p in network.named_parameters():
            p.copy_(kept[name])
    return network


def main() -> None:
    """Make or read the examples, fit, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("places", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="where the examples are kept")
    wanted = parser.parse_args()
    if not wanted.cache.exists():
        made = examples(wanted.places)
        torch.save((made.evidence.half(), made.error.half(), made.place.short()), wanted.cache)
    found = Examples(*torch.load(wanted.cache))
    network = fit(found)
    save_file({name: p.detach().clone() for name, p in network.named_parameters()}, str(wanted.out))


if __name__ == "__main__":
    main()
