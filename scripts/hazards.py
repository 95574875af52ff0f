"""Run the hazard matrix and write docs/hazards.md: ``python -m scripts.hazards [--quick] [--check] [NAME ...]``.

``--check`` writes nothing and fails if any cell goes wrong or the document is not what it would write. ``--quick``
runs one codec for each container; names limit the run to some hazards. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from tests.support.clips import ClipFactory
from tests.support.hazards.catalogue import HAZARDS, by_name
from tests.support.hazards.matrix import CELLS, QUICK_CELLS, run_cell
from tests.support.hazards.page import DOCUMENT, document
from tests.support.networks import identity_model


def main() -> int:
    """Run the asked part of the matrix; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    hazards = [by_name(name) for name in asked.names] or list(HAZARDS)
    torch.set_num_threads(1)
    begin, counts = time.perf_counter(), Counter[str]()
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDSR_STATE"] = str(Path(folder) / "state")
        clips = ClipFactory(Path(folder) / "clips")
        clips.folder.mkdir()
        model = identity_model(Path(folder))
        for hazard in hazards:
            for container, codecs in (QUICK_CELLS if asked.quick else CELLS).items():
                for codec in codecs:
                    outcome = run_cell(hazard, container, codec, clips, model)
                    counts[outcome.state] += 1
                    slowest = max(slowest, (outcome.seconds, f"{hazard.name} in {codec}.{container}"))
                    if outcome.state == "WRONG":
                        print(f"{hazard.name} {codec}.{container}: {outcome.text}", flush=True)
    seconds = time.perf_counter() - begin
    print(f"{len(hazards)} clips, {sum(counts.values())} cells in {seconds:.0f} s: {dict(counts)}; slowest {slowest}")
    if counts["WRONG"]:
        return 1
    if asked.check:
        current = DOCUMENT.exists() and DOCUMENT.read_text() == document()
        print("docs/hazards.md is up to date" if current else "docs/hazards.md is not what this script writes")
        return 0 if current else 1
    DOCUMENT.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
