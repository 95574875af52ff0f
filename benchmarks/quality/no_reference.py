"""How far the measures without an original agree with LPIPS and PSNR when they rank option sets.

    python -m benchmarks.quality.no_reference --cache FOLDER \\
        foliage=vid4/foliage:0:8:320x240 carphone=carphone_pristine.mp4:0:8

Sequences and results are those of :mod:`benchmarks.quality.option_results`. Within each sequence and damage, the option
sets (bicubic interpolation among them) are ranked by every measure and by LPIPS, PSNR and VMAF against the truth; what
is printed is Spearman's rank correlation of the two orders, oriented so that +1 means the same order, and its mean over
the sequences. ``--values`` prints the means themselves.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.quality.option_results import DAMAGES, ClipResults, made
from vidsr.jobs.compare.assess import assess
from vidsr.jobs.compare.compare import CompareSettings, compare
from vidsr.quality.comparison import MEASURES
from vidsr.quality.no_reference.assessment import ASSESSED, RANKINGS

#: What ranks with the original are taken from.
TRUE = ("lpips", "psnr", "vmaf")


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's, equal values sharing their rank; NaN where one order is all ties."""
    places = [_places(np.array(values)) for values in (a, b)]
    if any(p.std() == 0 for p in places):
        return float("nan")
    return float(np.corrcoef(*places)[0, 1])


def _places(values: np.ndarray) -> np.ndarray:
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def measured(clip: ClipResults) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """(means without an original, means against the truth) of every result."""
    paths = list(clip.results.values())
    without = assess(paths, clip.source, CompareSettings(device="cpu"))
    against = compare(clip.truth, paths, CompareSettings(device="cpu", measures=TRUE))
    means = [video.measured.means() for video in without.videos]
    for mean, video in zip(means, without.videos, strict=True):
        mean.update(video.ranks)
    return means, [other.measured.means() for other in against.others]


def main() -> None:
    """Measure everything and print the agreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the results")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument("--values", action="store_true", help="print the means of every result too")
    wanted = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    names = [*ASSESSED, *RANKINGS]
    print(f"{'':<24}{'':<7}" + "".join(f"{name:>18}" for name in names))
    for clip in made(wanted.sequences, wanted.cache, wanted.damage):
        without, against = measured(clip)
        if wanted.values:
            for name, one, other in zip(clip.results, without, against, strict=True):
                print(f"  {name:<29}" + "".join(f"{one.get(n, float('nan')):>18.3f}" for n in names), end="")
                print("  " + "  ".join(f"{n} {other[n]:.4f}" for n in TRUE))
        for true in TRUE:
            line = f"{clip.name + ', ' + clip.damage:<24}{true:<7}"
            for name in names:
                if not all(name in mean for mean in without):
                    line += f"{'-':>18}"
                    continue
                higher = name not in RANKINGS and ASSESSED[name][1]
                sign = 1 if higher == MEASURES[true][1] else -1
                value = sign * rank_correlation([m[name] for m in without], [m[true] for m in against])
                found[true, name].append(value)
                line += f"{value:>+18.2f}"
            print(line, flush=True)
    for true in TRUE:
        means = [np.nanmean(found[true, name]) if found[true, name] else float("nan") for name in names]
        print(f"{'mean':<24}{true:<7}" + "".join(f"{value:>+18.2f}" for value in means))
    for name, used in RANKINGS.items():
        print(f"{name} goes by {', '.join(used)}")


if __name__ == "__main__":
    main()
