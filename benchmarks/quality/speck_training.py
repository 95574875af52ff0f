"""Fit the network by which ``dust`` tells specks from what moves, and show what it gains on clips it has not seen.

    python -m benchmarks.quality.speck_training DATA OUT.safetensors

The material is that of ``benchmarks.quality.dirt --tuning``, and more of the same kind: further photographs, and later
frames of the clips with other dirt. Each clip is seen dirty and clean. A region that may be a speck is one if dirt has
harmed half of its pixels. A fourfold cross-validation over the clips is printed; the network's threshold is where that
lets through as many wrong pixels as ``--wrong`` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn import functional as F

from benchmarks.quality import dirt
from benchmarks.quality.film import Pictures, codes, frames_of
from vidsr.filters.before.dust import Dust
from vidsr.filters.before.motion import Planes
from vidsr.filters.film.speck_measures import NAMES, RegionValues
from vidsr.filters.film.speck_network import evidence, have_moved
from vidsr.filters.film.specks import Regions, SeenAround
from vidsr.frames import Floats, Frame

#: Further photographs of ``bsd100``; and from which frame on clips are seen again.
STILLS = (5, 11, 20, 29, 33, 44, 50, 63, 70, 77, 86, 97)
_AGAIN = 10
#: Code values by which dirt has harmed a pixel, and visibly.
_HARMED, _SEEN = 5, 10
#: Pixels replaced for each pixel of a region, as edges go with it.
_WITH_EDGES = 1.3
#: Neurons, iterations, weight decay, folds, networks, and one in how many regions that are no specks is taken.
_HIDDEN, _STEPS, _DECAY, _FOLDS, _NETWORKS, _EVERY = 16, 100, 3e-5, 4, 4, 2
_FITTED = ("values", "specks", "sizes")

Network = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """Regions of one row: their measures ``[regions, measures]``, pixels, pixels visibly harmed, whether they are
    specks; and of the row, all pixels visibly harmed and all pixels."""

    clip: str
    values: RegionValues
    sizes: npt.NDArray[np.int64]
    harmed: npt.NDArray[np.int64]
    specks: npt.NDArray[np.bool_]
    seen: int
    pixels: int


class _Watched(Dust):
    """Dust that keeps what it suspects."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, Regions, RegionValues]] = []
        self._number = 0

    def _repaired(self, window: Sequence[Planes], at: int) -> Frame:
        self._number = window[at].frame.index
        return super()._repaired(window, at)

    def _specks(self, seen: SeenAround) -> None:
        suspects = self._suspects(seen)
        if suspects is not None:
            self.kept.append((self._number, *suspects))


def suspects_in(clip: str, pictures: Pictures, truth: Pictures) -> Suspects:
    """What ``dust`` suspects in pictures, and what of it is dirt by the truth."""
    watched = _Watched()
    for _ in watched(frames_of(pictures)):
        pass
    error = np.abs(pictures.astype(int) - truth.astype(int))
    values = [np.zeros((0, len(NAMES)))]
    sizes, harmed, specks = ([np.zeros(0, kind)] for kind in (np.int64, np.int64, np.bool_))
    for number, regions, measured in watched.kept:
        inside = error[number][regions.y, regions.x]
        values.append(measured)
        sizes.append(regions.sizes)
        harmed.append(np.bincount(regions.region, inside >= _SEEN, regions.count).astype(np.int64))
        specks.append(regions.mean(inside >= _HARMED) >= 0.5)
    return Suspects(
        clip=clip,
        values=np.concatenate(values),
        sizes=np.concatenate(sizes),
        harmed=np.concatenate(harmed),
        specks=np.concatenate(specks),
        seen=int((error[1:-1] >= _SEEN).sum()),
        pixels=error[1:-1].size,
    )


def fitted(rows: Sequence[Suspects], seed: int) -> Network:
    """A network fitted to the regions of some rows: to all specks, and to one in :data:`_EVERY` of the others, which
    counts for all of these. Large regions count more."""
    values, specks, sizes = (np.concatenate([getattr(row, name) for row in rows]) for name in _FITTED)
    kept = specks | (np.arange(len(specks)) % _EVERY == 0)
    values, specks, sizes = values[kept], specks[kept], sizes[kept]
    weights = torch.from_numpy((np.sqrt(sizes) + 2) * np.where(specks, 1, _EVERY)).float()
    mean, deviation = values.mean(0), values.std(0) + 1e-6
    given = torch.from_numpy(np.clip((values - mean) / deviation, -4, 4)).float()
    wanted = torch.from_numpy(specks).float()
    torch.manual_seed(seed)
    first, second = torch.nn.Linear(given.shape[1], _HIDDEN), torch.nn.Linear(_HIDDEN, 1)
    net = torch.nn.Sequential(first, torch.nn.Tanh(), second)
    optimiser = torch.optim.LBFGS(net.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = F.binary_cross_entropy_with_logits(net(given)[:, 0], wanted, weight=weights / weights.mean())
        total = error + _DECAY * ((first.weight**2).sum() + (second.weight**2).sum())
        total.backward()
        return total

    optimiser.step(loss)
    made = {
        "first": first.weight.T,
        "first_bias": first.bias,
        "second": second.weight[0],
        "second_bias": second.bias[0],
    }
    return {"mean": mean, "deviation": deviation, **{k: v.detach().numpy().astype(np.float64) for k, v in made.items()}}


def together(networks: Sequence[Network]) -> Network:
    """One network whose evidence is the mean of that of several which were fitted to the same rows."""
    return {
        **{name: networks[0][name] for name in ("mean", "deviation")},
        "first": np.concatenate([network["first"] for network in networks], 1),
        "first_bias": np.concatenate([network["first_bias"] for network in networks]),
        "second": np.concatenate([network["second"] for network in networks]) / len(networks),
        "second_bias": np.mean([network["second_bias"] for network in networks], 0),
    }


def fit(rows: Sequence[Suspects]) -> Network:
    """The mean of some networks that began with other weights, which errs less on single regions."""
    return together([fitted(rows, seed) for seed in range(_NETWORKS)])


def crossed(rows: Sequence[Suspects]) -> list[npt.NDArray[np.float64]]:
    """The evidence for each region, by networks that have not seen its clip."""
    names = sorted({row.clip for row in rows})
    found: dict[int, npt.NDArray[np.float64]] = {}
    for fold in range(_FOLDS):
        out = set(names[fold::_FOLDS])
        network = fit([row for row in rows if row.clip not in out])
        for n, row in enumerate(rows):
            if row.clip in out:
                found[n] = np.where(have_moved(row.values), -np.inf, evidence(row.values, network))
    return [found[n] for n in range(len(rows))]


def wrong(row: Suspects, chosen: npt.NDArray[np.bool_]) -> float:
    """The share of a row's pixels that would be replaced without being dirt."""
    return float(row.sizes[chosen & ~row.specks].sum() * _WITH_EDGES / row.pixels)


def threshold_for(rows: Sequence[Suspects], found: Sequence[npt.NDArray[np.float64]], share: float) -> float:
    """The evidence above which, on average over rows, this share of the pixels is replaced wrongly."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        much = np.mean([wrong(row, own > middle) for row, own in zip(rows, found, strict=True)])
        low, high = (middle, high) if much > share else (low, middle)
    return high


def again(data: Path) -> Iterator[tuple[int, str, Floats, int]]:
    """Material like that of ``dirt.tuning``, with other dirt."""
    for number, (path, _, size) in enumerate(dirt.TUNING):
        if not path.endswith((".ps", "hlg10-color-test.mp4")):  # too short
            yield number + 1, f"{Path(path).name} {_AGAIN}", dirt.other_clip(data / path, _AGAIN, size), 100
    for number, still in enumerate(STILLS):
        paths = (data / "bsd100" / f"{n:03d}.png" for n in (still, STILLS[(number + 1) % len(STILLS)]))
        yield number, f"still {still}", dirt.moved_still(*paths, still), still


def rows_of(number: int, name: str, whole: Floats, seed: int) -> Iterator[Suspects]:
    """The rows of one clip: both strengths, dirty and clean."""
    for place, strength in enumerate(dirt.STRENGTHS):
        damaged, clean = map(codes, dirt.dirtied(whole, strength, (number + place) % 2 == 1, seed))
        if len(clean) > 2:
            clip = name if name.startswith("still") else name.split(maxsplit=1)[0]
            yield suspects_in(clip, damaged, clean)
            yield suspects_in(clip, clean, clean)


def main() -> None:
    """Fit, show, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wrong", type=float, default=0.01, metavar="PERCENT", help="pixels replaced wrongly")
    chosen = parser.parse_args()
    rows = [row for clips in (dirt.tuning, again) for clip in clips(chosen.data) for row in rows_of(*clip)]
    found = crossed(rows)
    for share in (0.5, 1, 2, 4):
        limit = threshold_for(rows, found, share * chosen.wrong / 100)
        dirty = [(row, own > limit) for row, own in zip(rows, found, strict=True) if row.seen]
        recall = np.mean([row.harmed[taken].sum() / row.seen for row, taken in dirty])
        print(f"{share * chosen.wrong:.3f} % wrong: {recall:.1%} of the pixels visibly harmed, above {limit:.2f}")
    network = fit(rows)
    network["second_bias"] = network["second_bias"] - threshold_for(rows, found, chosen.wrong / 100)
    save_file({name: np.array(values, np.float32, order="C") for name, values in network.items()}, chosen.out)


if __name__ == "__main__":
    main()
