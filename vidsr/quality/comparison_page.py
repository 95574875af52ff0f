"""A comparison as one self-contained HTML page: curves over time, the worst frames with a slider, digests.

The page holds everything; it needs no server and opens from a mail attachment.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.quality.comparison import MEASURES, WorstFrame
from vidsr.quality.invention.time_line import ShownInvention

#: Quality of the JPEG pictures in the page, without chroma subsampling: damage must be the video's own.
_JPEG_QUALITY = 93


def page(
    comparison: dict[str, Any],
    worst: Sequence[Sequence[WorstFrame]],
    measures: dict[str, tuple[str, bool, int]] = MEASURES,
    inventions: Sequence[ShownInvention | None] = (),
) -> str:
    """The page for a comparison and the frames kept of each video.

    ``comparison`` is ``CompareResult.to_json()`` or ``AssessResult.to_json()``, which has a source or nothing in place
    of the reference; ``measures`` are those of its kind. ``inventions`` say of each video what its source does not
    support, None where that was not measured.
    """
    maps = [*inventions, *[None] * (len(worst) - len(inventions))]
    data = {
        "comparison": comparison,
        "measures": [
            {"name": name, "title": title, "higher": higher, "digits": digits}
            for name, (title, higher, digits) in measures.items()
        ],
        "worst": [
            [
                {
                    "seconds": sample.seconds,
                    "score": sample.score,
                    "measure": sample.measure,
                    "reference": _picture(sample.reference),
                    "other": _picture(sample.other),
                    "map": _layer(shown, number),
                }
                for number, sample in enumerate(samples)
            ]
            for samples, shown in zip(worst, maps, strict=True)
        ],
    }
    first = comparison.get("reference") or comparison.get("source")
    title = f"Comparison with {PurePath(first['path']).name}" if first else "Comparison without an original"
    # A file may be called anything: "<" must not end the script element, and the title is escaped.
    text = json.dumps(data).replace("<", "\\u003c")
    template = files("vidsr.quality").joinpath("report.html").read_text(encoding="utf-8")
    parts = {"TITLE": html.escape(title), "DATA": text, "INVENTION": _invention(comparison["results"], maps)}
    return re.sub(f"@({'|'.join(parts)})@", lambda found: parts[found[1]], template)


def _invention(results: Sequence[dict[str, Any]], maps: Sequence[ShownInvention | None]) -> str:
    """The section about what was invented; nothing where no video was measured for it."""
    sections = [
        shown.section(PurePath(result["path"]).name) for result, shown in zip(results, maps, strict=True) if shown
    ]
    if not sections:
        return ""
    lead = (
        '<p class="sub">How far each result is supported by its source, over time. Dashed lines mark where shots begin.'
        " A small expected error does not prove that a detail is real.</p>"
    )
    return f'<section id="invention"><h2>What was invented</h2>{lead}{"".join(sections)}</section>'


def _layer(shown: ShownInvention | None, number: int) -> str | None:
    """The map of a picture as a data address."""
    layer = shown.layers[number] if shown is not None and number < len(shown.layers) else None
    return None if layer is None else "data:image/png;base64," + base64.b64encode(layer).decode()


def _picture(pixels: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(memory.getvalue()).decode()
