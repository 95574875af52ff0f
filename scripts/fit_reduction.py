"""Fit the network that finds how a source was reduced (``vidsr/filters/after/reduction.safetensors``).

    python -m scripts.fit_reduction OUT.safetensors PLACE…

Places are pictures and videos. Of each, parts are softened or not, reduced by two to four in each way that the network
distinguishes, and given as much noise as a clean source may have. Four networks are fitted first, each to three
quarters of the places, and what they find in the remaining quarter is printed; the one that is written has seen all.
Two minutes on one core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.quality.reductions import KERNELS, reduced_by
from vidsr.filters.after.reduction import EVIDENCE, HIDDEN, KINDS, ReductionModel, aliasing_of, evidence
from vidsr.filters.flow import gaussian, luma
from vidsr.inference.colour import rgb8_of
from vidsr.media.decode import read_frames
from vidsr.media.pictures.files import is_picture
from vidsr.media.probe import probe

#: Frames of a video that are learnt from, and frames from one to the next.
VIDEO_FRAMES, VIDEO_STEP = 6, 20
#: Parts of each picture and kind, of each frame of a video and kind, and how wide they are after the reduction.
PICTURE_PARTS, VIDEO_PARTS = 6, 2
WIDTHS = (64, 96, 160)
#: Standard deviations in pixels of the blurs that parts get first; of a picture that is not reduced, half of that.
SOFTENED = (0.0, 0.0, 0.6, 1.0)
SCALES = (2, 3, 4, 4, 4)
#: Standard deviation of the noise in code values, and the share of the parts that get up to that.
NOISE, NOISY = 0.8, 0.3
FOLDS = 4
EPOCHS, BATCH, RATE = 60, 128, 4e-3
#: Standard deviation of the noise that evidence gets while it is learnt, of the evidence's own, and the share of it
#: that is left out.
JITTER, DROPPED = 0.1, 0.1


@dataclass(frozen=True, slots=True)
class Examples:
    """Evidence ``[n, EVIDENCE]``, the number of the kind of each ``[n]``, and that of its place ``[n]``."""

    evidence: Tensor
    kind: Tensor
    place: Tensor

    def those(self, which: Tensor) -> Examples:
        """A part of them."""
        return Examples(self.evidence[which], self.kind[which], self.place[which])


def pictures_of(path: Path) -> Iterator[Tensor]:
    """RGB ``[1, 3, h, w]``, 0 to 1."""
    if is_picture(path):
        with Image.open(path) as picture:
            yield _unit(np.asarray(picture.convert("RGB")))
        return
    for frame in islice(read_frames(probe(path)), 0, VIDEO_FRAMES * VIDEO_STEP, VIDEO_STEP):
        yield _unit(rgb8_of(frame))


def _unit(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def examples(places: Sequence[Path], seed: int = 0) -> Examples:
    """What is learnt from."""
    chance = np.random.default_rng(seed)
    found: list[tuple[Tensor, int, int]] = []
    for number, place in enumerate(places):
        count = PICTURE_PARTS if is_picture(place) else VIDEO_PARTS
        for picture in pictures_of(place):
            for kind, name in enumerate(KINDS):
                found += [(evidence(luma(_part(picture, name, chance))), kind, number) for _ in range(count)]
    return Examples(
        torch.stack([entry[0] for entry in found]),
        torch.tensor([entry[1] for entry in found]),
        torch.tensor([entry[2] for entry in found]),
    )


def _part(picture: Tensor, kind: str, chance: np.random.Generator) -> Tensor:
    """A random part of a picture, reduced."""
    scale = 1 if KERNELS[kind] is None else int(chance.choice(SCALES))
    wide = int(chance.choice(WIDTHS)) * scale
    sides = [(side, min(side, part)) for side, part in zip(picture.shape[-2:], (wide * 3 // 4, wide), strict=True)]
    (top, height), (left, width) = ((int(chance.integers(0, side - part + 1)), part) for side, part in sides)
    whole = picture[..., top : top + height, left : left + width]
    soft = float(chance.choice(SOFTENED)) / (2 if scale == 1 else 1)
    small = reduced_by(kind, gaussian(whole, soft) if soft else whole, scale)
    if chance.random() < NOISY:
        noise = torch.from_numpy(chance.normal(0, chance.uniform(0, NOISE), small.shape).astype(np.float32))
        small = (small * 255 + noise).round().clamp(0, 255) / 255
    return small


class Network(nn.Module):
    """What :class:`ReductionModel` computes, to be learnt."""

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.mean, self.scale = nn.Parameter(mean, requires_grad=False), nn.Parameter(scale, requires_grad=False)
        self.hidden0, self.hidden1 = nn.Linear(EVIDENCE, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, len(KINDS))

    def forward(self, seen: Tensor) -> Tensor:
        """Log-odds ``[N, K]``."""
        return ReductionModel(dict(self.named_parameters()))(seen)


def fit(found: Examples, seed: int = 0) -> Network:
    """A network that knows these examples."""
    torch.manual_seed(seed)
    seen = found.evidence
    mean, scale = seen.mean(0), seen.std(0).clamp(min=1e-3)
    network = Network(mean, scale)
    optimiser = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), RATE, weight_decay=0.03)
    steps = EPOCHS * (len(seen) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for part in torch.randperm(len(seen))[: len(seen) // BATCH * BATCH].split(BATCH):
            shaken = seen[part] + JITTER * scale * torch.randn(BATCH, EVIDENCE)
            kept = torch.rand(BATCH, EVIDENCE) >= DROPPED
            optimiser.zero_grad()
            F.cross_entropy(network(torch.where(kept, shaken, mean)), found.kind[part]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return network


@torch.no_grad()
def report(found: Examples) -> None:
    """Print what networks find in places that they have not seen."""
    said = torch.zeros(len(found.kind), len(KINDS))
    for fold in range(FOLDS):
        held = found.place % FOLDS == fold
        with torch.enable_grad():
            network = fit(found.those(~held))
        said[held] = network(found.evidence[held])
    print(f"{len(found.kind)} parts, cross-entropy {float(F.cross_entropy(said, found.kind)):.3f} nats")
    for kind, name in enumerate(KINDS):
        those = said[found.kind == kind]
        odds = aliasing_of(those)
        low, middle, high = odds.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
        named = ", ".join(f"{KINDS[k]} {count}" for k, count in Counter(those.argmax(1).tolist()).most_common(3))
        print(
            f"{name:<13} aliased: {(odds > 0).float().mean():4.0%}, log-odds {middle:+.1f} ({low:+.1f} to {high:+.1f});"
            f" named {named}"
        )


def main() -> None:
    """Read the arguments, fit, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("places", nargs="+", type=Path)
    wanted = parser.parse_args()
    found = examples(wanted.places)
    report(found)
    weights = {name: p.detach().half() for name, p in fit(found).named_parameters()}
    save_file(weights, str(wanted.out))


if __name__ == "__main__":
    main()
