"""docs/hazards.md: what each cell of the matrix must do, as a page."""

from __future__ import annotations

from tests.support.hazards.catalogue import HAZARDS
from tests.support.hazards.matrix import CELLS, expected_cell
from tests.support.places import ROOT

DOCUMENT = ROOT / "docs" / "hazards.md"
HEAD = """# Files that go wrong elsewhere

Every row is a small clip that carries one hazard of real video files; `tests/support/hazards/` says how each is made.
Every cell was enhanced for each codec that fits the container ({cells}), with a network that
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
