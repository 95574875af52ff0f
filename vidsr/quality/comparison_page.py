"""A comparison as one self-contained HTML page: curves over time, the worst frames with a slider, digests.

The page holds everything; it needs no server and opens from a mail attachment.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.quality.comparison import MEASURES, WorstFrame

#: Quality of the JPEG pictures in the page, without chroma subsampling: damage must be the video's own.
_JPEG_QUALITY = 93


def page(
    comparison: dict[str, Any],
    worst: Sequence[Sequence[WorstFrame]],
    measures: dict[str, tuple[str, bool, int]] = MEASURES,
) -> str:
    """The page for a comparison and the frames kept of each video.

    ``comparison`` is ``CompareResult.to_json()`` or ``AssessResult.to_json()``, which has a source or nothing in place
    of the reference; ``measures`` are those of its kind.
    """
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
                }
                for sample in samples
            ]
            for samples in worst
        ],
    }
    first = comparison.get("reference") or comparison.get("source")
    title = f"Comparison with {PurePath(first['path']).name}" if first else "Comparison without an original"
    # A file may be called anything: "<" must not end the script element, and the title is escaped.
    text = json.dumps(data).replace("<", "\\u003c")
    template = files("vidsr.quality").joinpath("report.html").read_text(encoding="utf-8")
    return template.replace("@TITLE@", html.escape(title)).replace("@DATA@", text)


def _picture(pixels: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(memory.getvalue()).decode()
