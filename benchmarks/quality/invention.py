"""How well the map of invention knows a result's error: rank correlation with the true error, and calibration.

    python -m benchmarks.quality.invention --cache FOLDER foliage=vid4/foliage:0:8:320x240 …

Sequences and results are those of :mod:`benchmarks.quality.option_results`; the model must not have learnt from them
(``scripts/fit_invention.py``). The true error is the mean over R, G, B of the absolute difference from the truth, in
code values. For every sequence and damage, over all results: Spearman's correlation of map and error over blocks of 16
pixels (mean over results, and the lowest), and for pixels that the map gives a probability of at least 0.5, 0.7 or 0.9
of lying within ±4 codes: their share of the picture, the mean of the probability given and the true share. The last row
is over everything.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F

from benchmarks.quality.option_results import DAMAGES, SETS, ClipResults, made
from vidsr.jobs.compare.invention import frame_evidence
from vidsr.quality.invention.error_model import BOUND, ExpectedError, shipped_model

BLOCK_PX = 16
#: Pixels on the borders that are left out: there is less evidence.
BORDER_PX = 8
SURE = (0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Observed:
    """One result: evidence ``[N, 14, h, w]`` and true error ``[N, 1, H, W]`` of its frames."""

    clip: str
    damage: str
    options: str
    evidence: Tensor
    error: Tensor


def observed(clips: Iterator[ClipResults], frames: int, names: list[str] | None) -> Iterator[Observed]:
    """Evidence and error of the first ``frames`` of every result; kept in the cache, because networks take long."""
    for clip in clips:
        for name, path in clip.results.items():
            if names and name not in names:
                continue
            kept = path.with_suffix(".known.pt")
            if kept.exists() and kept.stat().st_mtime > path.stat().st_mtime:
                found = torch.load(kept)
            else:
                pairs = [(e.half(), t.half()) for e, t in islice(_frames(clip, path), frames)]
                found = {"evidence": torch.cat([e for e, _ in pairs]), "error": torch.cat([t for _, t in pairs])}
                torch.save(found, kept)
            yield Observed(clip.name, clip.damage, name, found["evidence"].float(), found["error"].float())


def _frames(clip: ClipResults, path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    from benchmarks.quality.restoration import tensor_of
    from vidsr.inference.colour import rgb8_of
    from vidsr.media.decode import read_frames
    from vidsr.media.probe import probe

    truths = read_frames(probe(clip.truth))
    for frame, truth in zip(frame_evidence(clip.source, path), truths, strict=False):
        error = (frame.result - tensor_of(rgb8_of(truth)[None])).abs().mean(1, keepdim=True) * 255
        yield frame.evidence, error


@dataclass(frozen=True, slots=True)
class Judged:
    """One result: what is said of its pixels, and the true error, both ``[N, 1, H, W]`` without the borders."""

    said: ExpectedError
    error: Tensor

    @staticmethod
    def of(one: Observed) -> Judged:
        """By the shipped model."""
        said = shipped_model()(one.evidence).resized((one.error.shape[-2], one.error.shape[-1]))
        inner = (..., slice(BORDER_PX, -BORDER_PX), slice(BORDER_PX, -BORDER_PX))
        return Judged(ExpectedError(centre=said.centre[inner], width=said.width[inner]), one.error[inner])

    def correlation(self) -> float:
        """Spearman's, over blocks of all frames."""
        expected, error = (F.avg_pool2d(x, BLOCK_PX).flatten().numpy() for x in (self.said.mean(), self.error))
        return float(spearmanr(expected, error).statistic)


def calibration(several: list[Judged]) -> str:
    """Pixels said to be within ±4 codes with so much certainty: their share, what was said, what is true."""
    chance = torch.cat([one.said.within().flatten() for one in several])
    true = torch.cat([(one.error <= BOUND).float().flatten() for one in several])
    cells = []
    for sure in SURE:
        said = chance >= sure
        if said.float().mean() < 0.005:
            cells.append(f"{'-':>22}")
            continue
        cells.append(f"{said.float().mean():>7.0%}: {chance[said].mean():.2f} {true[said].mean():.2f}   ")
    return "  ".join(cells)


def main() -> None:
    """Measure the shipped model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the results")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument("--frames", type=int, default=8, help="how many frames of each sequence")
    parser.add_argument("--set", action="append", choices=["bicubic", *SETS], help="only this; may be repeated")
    wanted = parser.parse_args()
    clips = made(wanted.sequences, wanted.cache, wanted.damage)
    everything = list(observed(clips, wanted.frames, wanted.set))
    print(f"{'':<26}{'Spearman, 16 px':>20}   pixels at least so sure to be within 4 codes: share: said, true")
    print(f"{'':<26}{'mean  lowest':>20}   " + "  ".join(f"{sure:>10.0%}{'':<12}" for sure in SURE))
    judged = {(one.clip, one.damage, one.options): Judged.of(one) for one in everything}
    for cell in dict.fromkeys(key[:2] for key in judged):
        _row(", ".join(cell), [one for key, one in judged.items() if key[:2] == cell])
    _row("all", list(judged.values()))


def _row(name: str, several: list[Judged]) -> None:
    values = [one.correlation() for one in several]
    print(f"{name:<26}{np.mean(values):>13.2f}{np.min(values):>7.2f}   {calibration(several)}", flush=True)


if __name__ == "__main__":
    main()
