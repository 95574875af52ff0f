"""Film of 16 and 18 pictures a second in transfers of 24, 25 and 29.97: found, and brought to its own times?

    python -m benchmarks.quality.cadence DATA [chosen] [held-out] [fresh] [hard] [rates] [others]

DATA is the folder of real clips (see ``CONTENT`` in ``cadence_clips``). Transfers are made from them, inspected, and
brought to the film's own times with ``--restore film``. Of each are printed the rate found with its certainty, and:

- *lost*, *twice*: film pictures of which no frame or more than one is left, where both neighbours differ visibly (the
  pictures before the transfer by more than half a code value on average). In brackets those at invisible places;
- *grid*: entries that do not lie on the grid of the film's rate; edits explain some;
- *end*: by how many seconds the result ends elsewhere than the source.

``others`` are clips that are no such film: a rate that is found there is false.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from benchmarks.quality import cadence_clips as clips
from vidsr.filters.before.timeline import Timeline
from vidsr.filters.detect.cadence import exact_rates
from vidsr.jobs.inspect import inspect_file
from vidsr.jobs.recipe.source_plan import plan_source
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions

#: Mean difference of luma, in 8-bit code values, from which film pictures differ visibly.
_VISIBLE = 0.5
#: Times may be this much off the grid, in film pictures: the unit of the time base.
_ON_GRID = 0.02


def judged(clip: clips.Transfer, data: Path, folder: Path) -> tuple[bool, str]:
    """Whether the rate and every visible repeat were found, and a line on it."""
    path = folder / f"clip{clip.suffix}"
    film, shown = clip.make(data, path)
    found, _ = inspect_file(path)
    if found.cadence is None or found.cadence.film != _nominal(clip.film):
        return False, f"NOT FOUND ({None if found.cadence is None else found.cadence.film})"
    options = EnhanceOptions.from_flat({"restore": f"film={found.cadence.film}"})
    plan = plan_source(probe(path), options)
    index = plan.index()
    table = plan.timeline(index)
    assert table is not None
    if len(index) != len(shown):
        return False, f"{len(shown)} frames became {len(index)} in the file"
    kept = [entry.top for entry in table.entries]
    lost, twice = _errors(kept, shown, film)
    off = min(_off_grid(table, rate) for rate in exact_rates(found.cadence.film, clip.rate))
    last = table.entries[-1]
    end = (last.pts + last.duration) * table.time_base - (index.pts[-1] + index.durations[-1]) * index.time_base
    text = (
        f"{float(found.cadence.film):5.2f}, certainty {found.cadence.certainty:.2f}, {len(kept)} pictures, "
        f"lost {lost[0]} ({lost[1]}), twice {twice[0]} ({twice[1]}), off grid {off}, end {float(end):+.4f}"
    )
    return lost[0] + twice[0] == 0, text


def _off_grid(table: Timeline, rate: Fraction) -> int:
    """How many entries are not on the grid of ``rate`` pictures a second."""
    slots = [(entry.pts - table.entries[0].pts) * table.time_base * rate for entry in table.entries]
    return sum(abs(slot - round(slot)) > _ON_GRID for slot in slots)


def _nominal(film: Fraction) -> Fraction:
    return Fraction(24) if film == clips.NTSC_FILM else film


def _errors(kept: Sequence[int], shown: Sequence[int], film: Sequence[clips.Picture]) -> tuple[tuple[int, int], ...]:
    """(visible, invisible) film pictures that were lost, and that are there twice."""
    runs = [[n for n, _ in group] for _, group in groupby(enumerate(shown), lambda pair: pair[1])]
    differs = [
        True,
        *(_differ(film[shown[a[0]]], film[shown[b[0]]]) for a, b in pairwise(runs)),
        True,
    ]
    lost, twice = [0, 0], [0, 0]
    have = set(kept)
    for k, run in enumerate(runs):
        count = len(have.intersection(run))
        hidden = not (differs[k] and differs[k + 1])
        lost[hidden] += count == 0
        twice[hidden] += count > 1
    return (lost[0], lost[1]), (twice[0], twice[1])


def _differ(one: clips.Picture, other: clips.Picture) -> bool:
    rows = one.shape[0] * 2 // 3
    return bool(np.abs(one[:rows].astype(np.int16) - other[:rows]).mean() > _VISIBLE)


def main() -> int:
    """Make every clip, inspect it, count."""
    parts = {
        "chosen": clips.CHOSEN,
        "held-out": clips.HELD_OUT,
        "fresh": clips.FRESH,
        "hard": clips.HARD,
        "rates": clips.OTHER_RATES,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join([*parts, 'others'])}; default: all")
    asked = parser.parse_args()
    wanted = asked.parts or [*parts, "others"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in [p for p in parts if p in wanted]:
            results = []
            print(f"{part}:")
            for clip in parts[part]:
                right, text = judged(clip, asked.data, folder)
                results.append(right)
                print(f"  {'right' if right else 'WRONG'}  {clip.name}: {text}", flush=True)
            print(f"  {sum(results)} of {len(results)} right")
        if "others" in wanted:
            print("others:")
            false = 0
            for number, other in enumerate(clips.OTHERS):
                path = other.make(asked.data, folder / f"{number}{other.suffix}")
                found, _ = inspect_file(path)
                false += found.cadence is not None
                says = "nothing found" if found.cadence is None else f"FOUND {found.cadence.to_json()}"
                print(f"  {other.name}: {found.scan}, {says}", flush=True)
            print(f"  {false} of {len(clips.OTHERS)} false")
    return 0


if __name__ == "__main__":
    sys.exit(main())
