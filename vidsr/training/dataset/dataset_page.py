"""The report of a dataset: one HTML page with counts, thumbnails, and what was left out."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vidsr.frames import Rgb8
from vidsr.storage import AtomicFile
from vidsr.training.dataset.selection import Survey

MOST_THUMBNAILS = 120
THUMB_PX = 96


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was taken from each source, what was rejected and why, and some thumbnails."""

    patches: int = 0
    flat: int = 0
    taken: dict[str, int] = field(default_factory=dict)
    videos: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    thumbnails: list[tuple[str, Rgb8]] = field(default_factory=list)

    def add(self, name: str, patch: Rgb8) -> None:
        """Count a patch, and keep its thumbnail if it is one of the few, evenly spread, that the page shows."""
        self.patches += 1
        self.taken[name] = self.taken.get(name, 0) + 1
        if self.taken[name] == 1 and len(self.thumbnails) < MOST_THUMBNAILS:
            self.thumbnails.append((name, np.array(Image.fromarray(patch).resize((THUMB_PX, THUMB_PX)))))

    def video(self, path: Path, survey: Survey) -> None:
        """Count a video."""
        width, height = survey.crop[2:]
        self.videos.append(
            {
                "path": str(path),
                "frames": len(survey.index),
                "scenes": survey.scenes,
                "combed": survey.combed,
                "picture": f"{width}×{height}",
                "chosen": len(survey.chosen),
            }
        )

    def refuse(self, path: Path, reason: str) -> None:
        """Note a source that could not be used."""
        self.refused.append((str(path), reason))

    def sources(self) -> list[dict[str, Any]]:
        """The part of it that ``dataset.json`` keeps."""
        taken = [{"name": name, "patches": count} for name, count in self.taken.items()]
        return [*taken, *({"name": name, "refused": reason} for name, reason in self.refused)]


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;padding:0 1em;color:#222}
figure{display:inline-block;margin:.3em;width:96px;font-size:10px;overflow-wrap:anywhere;vertical-align:top}
td,th{text-align:left;padding:.2em 1em .2em 0;border-bottom:1px solid #ddd;overflow-wrap:anywhere}"""


def write_report(folder: Path, tally: Tally, patch: int) -> None:
    """Write ``folder/report.html``, which needs no other file."""
    figures = "".join(
        f'<figure><img alt="" width=96 height=96 src="data:image/jpeg;base64,{jpeg_text(pixels)}">'
        f"<figcaption>{html.escape(Path(name).name)}</figcaption></figure>"
        for name, pixels in tally.thumbnails
    )
    parts = [
        f"<h1>Dataset: {tally.patches} patches of {patch}×{patch} px</h1>",
        f"<p>From {len(tally.taken)} pictures and frames. {tally.flat} patches without detail were left out; "
        f"{len(tally.refused)} sources could not be used.</p>",
        html_table(
            "Videos",
            ["path", "frames", "scenes", "combed", "picture", "chosen"],
            [list(v.values()) for v in tally.videos],
        ),
        html_table("Left out", ["source", "reason"], [list(r) for r in tally.refused]),
        f"<h2>One patch of each picture{' (the first ones)' if len(tally.taken) > MOST_THUMBNAILS else ''}</h2>",
        figures,
        html_table("Patches", ["picture", "patches"], [list(t) for t in tally.taken.items()]),
    ]
    with AtomicFile(folder / "report.html") as file:
        file.write(html_page("".join(parts)).encode())


def html_page(body: str) -> str:
    """A whole page, with the style of a dataset's report."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Dataset</title><style>{_STYLE}</style>'
    return f"{head}{body}</html>"


def html_table(title: str, heads: list[str], rows: list[list[Any]]) -> str:
    """A table with a heading; nothing without rows. Cells are escaped."""
    if not rows:
        return ""
    head = "".join(f"<th>{h}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{body}</table>"


def jpeg_text(pixels: Rgb8) -> str:
    """A JPEG of ``[H, W, 3]`` in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()
