"""Train the network that weighs candidates for the missing lines of a field (``deinterlace``).

    python -m scripts.train_carried_fields OUT.safetensors FILE…

Files are progressive videos and pictures. Pictures become clips by moving over them, turning, zooming and bending, half
of them with another picture in front that moves by itself; a part of all clips is cut in the middle. Every clip is made
interlaced, its fields are treated as the filter treats them, and the network learns the lines that were taken out.
It takes a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vidsr.filters.before import carried_fields
from vidsr.filters.before.field_interpolation import bob
from vidsr.filters.before.timeline import woven
from vidsr.filters.flow import warp
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.media.decode import read_frames
from vidsr.media.pictures.files import is_picture, read_picture
from vidsr.media.probe import probe

Grey = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.float32]

GREY = PixelFormat("gray", "gray", 8)
HEIGHT, WIDTH = 160, 192
#: Frames of a clip, and those that are learnt from.
FRAMES, LEARNT = 8, (3, 4)
HIDDEN, CANDIDATES, FEATURES = 16, 7, 21
PATCH = (40, 64)
BATCH = 8
VALIDATED = 60


def video(path: Path) -> list[Grey]:
    """The luma of the first 260 frames."""
    frames = []
    for frame in read_frames(probe(path), 0, 260):
        plane = frame.planes[0].astype(np.float32) * (255 / frame.format.max_code)
        frames.append(np.rint(plane).astype(np.uint8))
    return frames


def picture(path: Path) -> Luma:
    """Its lightness, 0 to 255."""
    pixels = read_picture(path).pixels[:, :].astype(np.float32)
    most = 255 if pixels.max() <= 255 else 65535
    return np.ascontiguousarray(pixels[..., : min(3, pixels.shape[2])].mean(2) * (255 / most))


class Clips:
    """Made-up clips, drawn with one seed."""

    def __init__(self, pictures: Sequence[Luma], videos: Sequence[list[Grey]], seed: int) -> None:
        self._pictures, self._videos = pictures, videos
        self._random = np.random.default_rng(seed)

    def draw(self) -> list[Grey]:
        """One clip of :data:`FRAMES` progressive pictures."""
        clip = self._one()
        if self._random.random() < 0.1:
            cut = int(self._random.integers(1, FRAMES - 1))
            clip = clip[:cut] + self._one()[cut:]
        if self._random.random() < 0.5:
            clip = [np.ascontiguousarray(frame[::-1]) for frame in clip]
        return clip

    def _one(self) -> list[Grey]:
        moving = not self._videos or (self._pictures and self._random.random() < 0.6)
        return self._over_a_picture() if moving else self._of_a_video()

    def _of_a_video(self) -> list[Grey]:
        frames = self._videos[self._random.integers(len(self._videos))]
        step = 2 if len(frames) > 4 * FRAMES and self._random.random() < 0.25 else 1
        start = int(self._random.integers(0, len(frames) - FRAMES * step))
        clip = frames[start : start + FRAMES * step : step]
        if clip[0].shape[0] >= 2 * HEIGHT and clip[0].shape[1] >= 2 * WIDTH and self._random.random() < 0.5:
            clip = [cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8) for f in clip]
        top = int(self._random.integers(0, max(1, clip[0].shape[0] - HEIGHT + 1)))
        left = int(self._random.integers(0, max(1, clip[0].shape[1] - WIDTH + 1)))
        clip = [f[top : top + HEIGHT, left : left + WIDTH] for f in clip]
        if clip[0].shape != (HEIGHT, WIDTH):
            clip = [cv2.resize(f, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8) for f in clip]
        return [np.ascontiguousarray(f) for f in clip]

    def _over_a_picture(self) -> list[Grey]:
        random = self._random
        bend = (random.random() * 6, random.uniform(40, 160))
        ground, course = self._scaled(), self._course()
        front = self._scaled() if random.random() < 0.6 else None
        front_course, mask = self._course(), None if front is None else self._mask(front.shape)
        contrast = random.choice([1, 1, random.uniform(0.5, 1.1), random.uniform(0.1, 0.4)])
        noise = random.choice([0, 0, 1, 2, 4])
        clip = []
        for number in range(FRAMES):
            frame = moved(ground, course, number, bend)
            if front is not None and mask is not None:
                share = np.clip(moved(mask, front_course, number, bend), 0, 1)
                frame = frame * (1 - share) + moved(front, front_course, number, bend) * share
            # Drawn at twice the size, so that detail is as sharp as that of a camera and motion is finer than a pixel.
            frame = cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) * contrast
            frame = frame + random.normal(0, noise, frame.shape)
            clip.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
        return clip

    def _scaled(self) -> Luma:
        chosen = self._pictures[self._random.integers(len(self._pictures))]
        scale = max(2 * self._random.choice([0.25, 0.35, 0.5, 0.7, 1]), 120 / min(chosen.shape))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(chosen, None, fx=scale, fy=scale, interpolation=how), np.float32)

    def _mask(self, shape: tuple[int, ...]) -> Luma:
        random, mask = self._random, np.zeros(shape, np.float32)
        centre = [int(side / 2 + random.uniform(-40, 40)) for side in reversed(shape)]
        radii = [int(value) for value in random.integers(20, 120, 2)]
        cv2.ellipse(mask, centre, radii, random.uniform(0, 180), 0, 360, 1.0, -1)
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.2), np.float32)

    def _course(self) -> tuple[float, float, float, float, float]:
        """Pixels to the right and down, radians, growth, and bend, each per field."""
        random, kind = self._random, self._random.random()
        if kind < 0.12:
            return 0.0, 0.0, 0.0, 0.0, 0.0
        if kind < 0.24:  # an odd number of lines: the neighbours hold nothing new
            return float(random.integers(-3, 4)), float(random.choice([-3, -1, 1, 3])), 0.0, 0.0, 0.0
        speed = random.choice([0.3, 1, 2, 4, 8])
        turn, growth = (random.normal(0, 0.004) if random.random() < 0.5 else 0.0 for _ in range(2))
        bend = random.normal(0, 1.5) if random.random() < 0.4 else 0.0
        return random.normal(0, speed), random.normal(0, 0.7 * speed), turn, growth, bend


def moved(source: Luma, course: Sequence[float], number: int, bend: tuple[float, float]) -> Luma:
    """Twice the size of a frame, cut from ``source`` as it has moved at frame ``number``."""
    right, down, turn, growth, bending = course
    phase, wavelength = bend
    y, x = np.mgrid[0 : 2 * HEIGHT, 0 : 2 * WIDTH].astype(np.float32)
    time = number - (FRAMES - 1) / 2
    cos, sin = (f(turn * time) / (1 + growth * time) for f in (np.cos, np.sin))
    at_x = cos * (x - WIDTH) - sin * (y - HEIGHT) + source.shape[1] / 2 - 2 * right * time
    at_y = sin * (x - WIDTH) + cos * (y - HEIGHT) + source.shape[0] / 2 - 2 * down * time
    at_x += 2 * bending * time / 3 * np.sin(y / wavelength + phase)
    at_y += 2 * bending * time / 3 * np.cos(x / wavelength + phase)
    maps = at_x.astype(np.float32), at_y.astype(np.float32)
    return np.asarray(cv2.remap(source, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.float32)


def examples(clip: Sequence[Grey]) -> list[tuple[Tensor, Tensor]]:
    """(features, what the lines made from one frame's neighbours lack of the truth) of the moments in the middle."""
    frames = [
        Frame(planes=(one,), format=GREY, colour=Colour(), index=n, pts=n, time_base=Fraction(1, 50))
        for n, one in enumerate(clip)
    ]
    fields = [woven(a, b) for a, b in zip(frames[0::2], frames[1::2], strict=True)]
    moments = {}
    for at in range(LEARNT[0] - 1, LEARNT[-1] + 2):
        number, second = divmod(at, 2)
        around = fields[max(0, number - 1)], fields[number], fields[min(len(fields) - 1, number + 1)]
        moments[at] = carried_fields.WholeMoment(bob(*around, first=not second, order="tff"))
    pairs = []
    for at in LEARNT:
        now, others = moments[at], (moments[at - 1], moments[at + 1])
        parity = 1 - at % 2
        flows = [carried_fields.motion(now, other) for other in others]
        planes = [other.planes[0] for other in others]
        carried = [warp(plane, flow) for plane, flow in zip(planes, flows, strict=True)]
        phases = [carried_fields.phase(flow, parity) for flow in flows]
        base, seen = carried_fields.features([now.planes[0], *planes, *carried], phases, parity)
        truth = torch.from_numpy(clip[at][parity::2].astype(np.float32) / 255)[None, None]
        pairs.append((seen[0].half(), (truth - base)[0].half()))
    return pairs


class Gates(nn.Module):
    """The network as :mod:`vidsr.filters.before.carried_fields` computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * FEATURES, HIDDEN, 1)
        self.window = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1, padding_mode="replicate", groups=HIDDEN, bias=False)
        self.second = nn.Conv2d(HIDDEN, HIDDEN, 1)
        self.gates = nn.Conv2d(HIDDEN, CANDIDATES + 1, 1)
        with torch.no_grad():
            self.gates.weight.mul_(0.1)
            self.gates.bias.zero_()  # type: ignore[union-attr]

    def weights(self) -> dict[str, Tensor]:
        """By the names and in the layout of the filter."""
        layers = {"first": self.first, "second": self.second, "gates": self.gates}
        made = {name: layer.weight[:, :, 0, 0].t() for name, layer in layers.items()}
        made |= {f"{name}_bias": layer.bias for name, layer in layers.items()}  # type: ignore[misc]
        return made | {"window": self.window.weight.reshape(HIDDEN, 9)}

    def forward(self, seen: Tensor) -> Tensor:
        """What is added to the lines of one frame's neighbours, ``[N, 1, lines, W]``."""
        gates = carried_fields.gates_of(seen, self.weights())
        return carried_fields.chosen(gates, seen)


def train(seen: Tensor, lacking: Tensor, steps: int) -> Gates:
    """Adam with one cycle of the learning rate, on patches of the examples but the first, which validate."""
    network = Gates()
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    rows, columns = seen.shape[2] - PATCH[0] + 1, seen.shape[3] - PATCH[1] + 1
    for step in range(steps):
        which = torch.randint(VALIDATED, len(seen), (BATCH,))
        top, left = (int(torch.randint(0, n, (1,))) for n in (rows, columns))
        patch: Any = (which, slice(None), slice(top, top + PATCH[0]), slice(left, left + PATCH[1]))
        x, y = seen[patch].float(), lacking[patch].float()
        if step % 2:
            x, y = x.flip(3), y.flip(3)
        error = (network(x) - y) ** 2
        loss = (error + 1e-6).sqrt().mean() + 10 * error.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 1000 == 999:
            print(f"step {step + 1}: {gain(network, seen[:VALIDATED], lacking[:VALIDATED]):.3f} dB", flush=True)
    return network


def gain(network: Gates, seen: Tensor, lacking: Tensor) -> float:
    """Mean gain in dB over the lines of one frame's neighbours."""
    with torch.no_grad():
        made = torch.cat([network(one[None].float()) for one in seen])
    before, after = ((value**2).mean((1, 2, 3)).clamp(min=1e-7) for value in (lacking.float(), lacking.float() - made))
    return float((10 * (before / after).log10()).mean())


def main() -> None:
    """Make the clips, train, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="progressive videos, pictures")
    parser.add_argument("--clips", type=int, default=1400)
    parser.add_argument("--steps", type=int, default=14000)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures = [picture(path) for path in chosen.files if is_picture(path)]
    videos = [video(path) for path in chosen.files if not is_picture(path)]
    drawn = Clips(pictures, videos, seed=1)
    pairs = [pair for _ in range(chosen.clips) for pair in examples(drawn.draw())]
    network = train(torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs]), chosen.steps)
    save_file({name: value.detach().contiguous() for name, value in network.weights().items()}, chosen.out)


if __name__ == "__main__":
    main()
