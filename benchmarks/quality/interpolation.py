"""Frames in between (``--rate``) against frames left out: PSNR of vidsr's own flow, of RIFE, and of both mixed.

    python -m benchmarks.quality.interpolation bikes=bikes.mp4:30:31:256x192 foliage=vid4/foliage

Sequences are as in :mod:`benchmarks.quality.restoration`. Every second frame is left out and made again from its two
neighbours; the figures are means over these frames, in RGB of 8 bits. "mean" is the plain mean of the neighbours. The
goal for the mixture is at most 0.1 dB less than the better of the two. Seconds are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.quality.restoration import read_sequence, rounded, tensor_of
from vidsr.filters.between.interpolation import best_way, learned_way, own_way
from vidsr.models.ifnet import IFNet, load

#: From the two neighbours, the frame between them.
Between = Callable[[Tensor, Tensor], Tensor]


def ways(network: IFNet) -> dict[str, Between]:
    """What is compared, by name."""
    return {
        "mean": lambda a, b: (a + b) / 2,
        "own flow": lambda a, b: own_way(a, b, 0.5).of(a, b),
        "RIFE": lambda a, b: learned_way(a, b, 0.5, network).of(a, b),
        "mixed": lambda a, b: best_way(a, b, 0.5, network).of(a, b),
    }


def psnr(made: Tensor, truth: Tensor) -> float:
    """Of two pictures ``[1, 3, H, W]`` in 0..1, rounded to 8 bits."""
    error = rounded(made).astype(float) - rounded(truth)
    return float(10 * np.log10(255**2 / (error**2).mean()))


@torch.inference_mode()
def measured(clip: Tensor, between: Between, folder: Path | None) -> tuple[float, float]:
    """(mean PSNR, CPU seconds per frame) over every second frame; the frames made go to ``folder``."""
    found, spent = [], 0.0
    for n in range(1, len(clip) - 1, 2):
        begin = time.process_time()
        made = between(clip[n - 1 : n], clip[n + 1 : n + 2])
        spent += time.process_time() - begin
        found.append(psnr(made, clip[n : n + 1]))
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rounded(made)[0]).save(folder / f"{n:03d}.png")
    return float(np.mean(found)), spent / len(found)


def main() -> None:
    """Measure every sequence given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--pictures", type=Path, help="folder for the frames made")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compared = ways(load())
    print(f"{'sequence':<22}{'size':<11}{'frames':>6}  " + "".join(f"{name:>18}" for name in compared) + "   goal")
    for text in arguments.sequences:
        sequence = read_sequence(text)
        clip = tensor_of(sequence.truth)
        figures = {}
        for name, between in compared.items():
            folder = None if arguments.pictures is None else arguments.pictures / sequence.name / name.replace(" ", "-")
            figures[name] = measured(clip, between, folder)
        size = f"{clip.shape[3]}x{clip.shape[2]}"
        cells = "".join(f"{dB:>9.2f} {seconds:>6.2f} s" for dB, seconds in figures.values())
        lacking = max(figures["own flow"][0], figures["RIFE"][0]) - 0.1 - figures["mixed"][0]
        verdict = "met" if lacking <= 0 else f"MISSED by {lacking:.2f} dB"
        print(f"{sequence.name:<22}{size:<11}{(len(clip) - 1) // 2:>6}  {cells}   {verdict}", flush=True)


if __name__ == "__main__":
    main()
