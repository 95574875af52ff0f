"""docs/hazards.md: what each cell of the matrix must do, as a page."""

from __future__ import annotations

from tests.support.hazards.catalogue import HAZARDS
from tests.support.hazards.matrix import CELLS, expected_cell
from tests.support.places import ROOT

DOCUMENT = ROOT / "docs" / "hazards.md"
HEAD = """# Files that go wrong elsewhere

Each row is a small clip with one hazard of real video files; `tests/support/hazards/` shows how each is made.
Each cell was enhanced by a network that leaves pictures unchanged, with every codec that its container holds:
{cells}.

- **ok**: the result passed `vidsr verify`, **and** ffprobe and ffmpeg, which share no code with vidsr, found the same
  number of frames, the same timestamps (exact in MP4 and MOV, to a millisecond in Matroska), the same audio bytes (or
  samples, where audio was converted), identical pixels for FFV1, the same colour tags, pixel aspect ratio, rotation,
  languages and chapters, and decoded all of it without an error.
- **refused**: vidsr printed one line with these words before any work, and left nothing behind.

`python -m scripts.hazards` writes this page, and fails if any cell behaves differently. The test suite runs part of the
matrix and checks that this page is up to date.

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
