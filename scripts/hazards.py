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

from tests.clips import ClipFactory
from tests.hazards import HAZARDS, by_name
from tests.matrix import CELLS, QUICK_CELLS, expected_cell, run_cell

DOCUMENT = Path(__file__).parent.parent / "docs" / "hazards.md"
HEAD = """# Files that go wrong elsewhere

Every row is a small clip that carries one hazard of real video files; `tests/hazards.py` says how each is made. Every
cell was enhanced for each codec that fits the container ({cells}), with a network that
leaves pictures as they are. "ok" means that the result passed `vidsr verify` **and** that ffprobe and ffmpeg, which
share no code with vidsr, found the same number of frames, the same timestamps (exact in MP4 and MOV, to a millisecond
in Matroska), the same bytes of sound (or samples, where it was converted), identical pixels for FFV1, the same colour
tags, pixel shape, rotation, languages and chapters, and nothing to complain of while decoding all of it.
"refused" means one clear line before any work, with these words, and nothing left behind.

This page is written by `python -m scripts.hazards`, which fails when a cell does anything else. The test suite runs a
part of the matrix and checks that this page is up to date.

| clip | what it is | mkv | mp4 | mov |
|---|---|---|---|---|
"""


def document() -> str:
    """The page, from what each cell must do."""
    cells = "; ".join(f"{container}: {', '.join(codecs)}" for container, codecs in CELLS.items())
    rows = []
    for hazard in HAZARDS:
        states = " | ".join(expected_cell(hazard, container) for container in CELLS)
        rows.append(f"| {hazard.name} | {hazard.what} | {states} |\n")
    return HEAD.format(cells=cells) + "".join(rows)


def main() -> int:
    """Run the asked part of the matrix; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    hazards = [by_name(name) for name in asked.names] or list(HAZARDS)
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


def identity_model(folder: Path) -> Path:
    """A real model file whose network, all zeros, gives back its input: nearest-neighbour at scale 1."""
    import torch
    from safetensors.torch import save_file

    from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

    torch.set_num_threads(1)
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=4, num_conv=1, scale=1))
    path = folder / "identity.safetensors"
    save_file({name: torch.zeros_like(t) for name, t in network.state_dict().items()}, str(path))
    return path


if __name__ == "__main__":
    sys.exit(main())
