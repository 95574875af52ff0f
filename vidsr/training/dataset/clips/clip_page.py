"""The report of a dataset of clips: how they move, what each source gave, what was left out, and how they look."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vidsr.frames import Rgb8
from vidsr.storage import AtomicFile
from vidsr.training.dataset.clips.clip_motion import bin_names, bin_of
from vidsr.training.dataset.clips.clip_store import Clip8
from vidsr.training.dataset.dataset_page import MOST_THUMBNAILS, THUMB_PX, html_page, html_table, jpeg_text

#: What is said of the motions of all clips, by the names of their facts.
_MOTIONS = {
    "mean": "mean length of the motion",
    "fastest": "95th percentile of its length",
    "camera": "of the camera (the median vector)",
    "own": "of what moves of its own (without the camera)",
}


@dataclass(slots=True, kw_only=True)
class ClipTally:
    """What was cut from each source and what was not; ``broken`` counts clips with a cut or flash inside."""

    length: int
    patch: int
    motions: list[dict[str, float]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    videos: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    strips: list[tuple[str, Rgb8]] = field(default_factory=list)

    def add(self, source: Path, clip: Clip8, facts: dict[str, Any]) -> None:
        """Count a clip; the first, middle and last frames of a limited number of them are kept."""
        self.taken[str(source)] += 1
        self.motions.append(facts["motion"])
        if len(self.strips) < MOST_THUMBNAILS:
            small = [
                np.array(Image.fromarray(np.array(clip[n])).resize((THUMB_PX, THUMB_PX)))
                for n in (0, len(clip) // 2, len(clip) - 1)
            ]
            caption = f"{source.name} frame {facts['first']}, {facts['motion']['mean']:.2f} px a frame"
            self.strips.append((caption, np.concatenate(small, axis=1)))

    def video(self, plan: dict[str, Any]) -> None:
        """Count a video or picture that was looked through."""
        self.videos.append({key: plan[key] for key in ("path", "frames", "repeats", "scenes", "stretches", "picture")})
        self.left_out.update(plan["left_out"])

    def refuse(self, path: Path, reason: str) -> None:
        """Note a source that could not be used."""
        self.refused.append((str(path), reason))

    @property
    def clips(self) -> int:
        """How many clips there are."""
        return len(self.motions)

    def bins(self) -> dict[str, int]:
        """Clips by their mean motion, px a frame: name of the bin → how many."""
        counts = Counter(bin_of(motion["mean"]) for motion in self.motions)
        return {name: counts[number] for number, name in enumerate(bin_names())}

    def sources(self) -> list[dict[str, Any]]:
        """The part of it that ``dataset.json`` keeps."""
        used = [{**video, "clips": self.taken[video["path"]]} for video in self.videos]
        return [*used, *({"path": name, "refused": reason} for name, reason in self.refused)]


def write_clip_report(folder: Path, tally: ClipTally) -> None:
    """Write ``folder/report.html``, which needs no other file."""
    bins = tally.bins()
    most = max(1, *bins.values())
    bar = '<div style="background:#47a;height:1em;width:{:.1f}em"></div>'
    bars = "".join(
        f"<tr><td>{name}</td><td>{count}</td><td>{bar.format(count / most * 20)}</td></tr>"
        for name, count in bins.items()
    )
    rows = [[words, *_spread(motion[name] for motion in tally.motions)] for name, words in _MOTIONS.items()]
    figures = "".join(
        f'<figure style="width:{3 * THUMB_PX}px"><img alt="" width={3 * THUMB_PX} height={THUMB_PX} '
        f'src="data:image/jpeg;base64,{jpeg_text(pixels)}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, pixels in tally.strips
    )
    reasons = [*tally.left_out.items(), *([("a cut or flash inside", tally.broken)] if tally.broken else [])]
    shown = f" ({len(tally.strips)} of them)" if tally.clips > len(tally.strips) else ""
    parts = [
        f"<h1>Dataset: {tally.clips} clips of {tally.length} frames, {tally.patch}×{tally.patch} px</h1>",
        f"<p>Videos and pictures: {len(tally.videos)}. Sources that could not be used: {len(tally.refused)}.</p>",
        "<h2>Motion, px a frame</h2>",
        f"<table><tr><th>mean of the clip</th><th>clips</th><th></th></tr>{bars}</table>",
        html_table("Motion of all clips, px a frame", ["", "smallest", "median", "mean", "largest"], rows),
        html_table(
            "Videos and pictures",
            ["path", "frames", "repeated", "scenes", "stretches", "picture", "clips"],
            [[*video.values(), tally.taken[video["path"]]] for video in tally.videos],
        ),
        html_table("Stretches left out", ["reason", "stretches"], [list(pair) for pair in reasons]),
        html_table("Sources left out", ["source", "reason"], [list(pair) for pair in tally.refused]),
        f"<h2>First, middle and last frame of each clip{shown}</h2>",
        figures,
    ]
    with AtomicFile(folder / "report.html") as file:
        file.write(html_page("".join(parts)).encode())


def _spread(values: Iterable[float]) -> list[str]:
    found = np.array(list(values))
    return [f"{value:.2f}" for value in (found.min(), np.median(found), found.mean(), found.max())]
