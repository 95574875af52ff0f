"""What ``--invent`` does to whole sequences: PSNR, LPIPS and warping error from 0 to 1, beside ``--model faithful``.

    python -m benchmarks.quality.invention_limit --cache FOLDER foliage=vid4/foliage:0:8:320x240

Sequences, damages and sources are those of :mod:`benchmarks.quality.option_results`. Each source is enlarged by ``vidsr
enhance`` with each share; the files stay in the cache. PSNR and LPIPS (AlexNet) are means over all frames, the warping
error (Lai et al. 2018, along the truth's motion) is that of ``vidsr compare``. A row ends with what is not as it should
be: PSNR at 0 below that of faithful, LPIPS that rises with the share, a warping error above that at 1.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

from benchmarks.quality.option_results import DAMAGES, sources
from vidsr import enhance
from vidsr.jobs.compare.compare import CompareSettings, compare

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MEASURES = ("psnr", "lpips", "warping_error")


def figures(truth: Path, result: Path) -> dict[str, float]:
    """PSNR in dB, LPIPS, and warping error in squared code values / 255²."""
    (found,) = compare(truth, [result], CompareSettings(measures=MEASURES, device="cpu")).others
    return {name: float(value or 0) for name, value in found.means(MEASURES).items()}


def faults(by_share: dict[float, dict[str, float]], faithful: dict[str, float]) -> list[str]:
    """What a row ends with; differences below what a table shows do not count."""
    values = [by_share[share] for share in sorted(by_share)]
    found = []
    if values[0]["psnr"] < faithful["psnr"] - 0.005:
        found.append("PSNR at 0 below faithful")
    if any(b["lpips"] > a["lpips"] + 0.0005 for a, b in pairwise(values)):
        found.append("LPIPS rises")
    if any(value["warping_error"] > values[-1]["warping_error"] * 1.005 for value in values[:-1]):
        found.append("warping error above that at 1")
    return found


def main() -> None:
    """Measure every sequence under every damage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the results")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument("--model", default="realesrgan-x4plus")
    wanted = parser.parse_args()
    for clip in sources(wanted.sequences, wanted.cache, wanted.damage):
        by_share = {}
        for share in SHARES:
            path = clip.source.with_name(f"{wanted.model}-invent-{share:g}.mkv")
            if not path.exists():
                enhance(clip.source, path, model=wanted.model, scale=4, codec="ffv1", verify=False, invent=share)
            by_share[share] = figures(clip.truth, path)
        path = clip.source.with_name("faithful.mkv")
        if not path.exists():
            enhance(clip.source, path, model="faithful", scale=4, codec="ffv1", verify=False)
        faithful = figures(clip.truth, path)
        print(f"{clip.name}, {clip.damage}, {wanted.model}", flush=True)
        for name, digits in (("psnr", 2), ("lpips", 3), ("warping_error", 6)):
            row = "  ".join(f"{share:g}: {by_share[share][name]:.{digits}f}" for share in SHARES)
            print(f"  {name:<14} {row}  faithful: {faithful[name]:.{digits}f}", flush=True)
        print("  " + ("; ".join(faults(by_share, faithful)) or "as it should be"), flush=True)


if __name__ == "__main__":
    main()
