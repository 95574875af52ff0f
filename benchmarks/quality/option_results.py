"""Results of several option sets on real sequences with a truth: what the measures without a reference are judged by.

    python -m benchmarks.quality.option_results --cache FOLDER foliage=vid4/foliage:0:8:320x240

Sequences are as in :mod:`benchmarks.quality.restoration`. Each is reduced by four with area averaging, stored without
loss or through x264, and enlarged by ``vidsr enhance`` with each set of :data:`SETS`; "bicubic" is interpolated. The
files stay in the cache folder: ``NAME-DAMAGE/source.mkv``, ``truth.mkv`` and ``SET.mkv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.quality.restoration import Clip, as_x264, read_sequence, reduced, rounded, tensor_of, write_lossless
from vidsr import enhance
from vidsr.filters.resample import cubic_up

#: Option sets by name, each what ``vidsr.enhance`` is called with.
SETS: dict[str, dict[str, str | float]] = {
    "faithful": {"model": "faithful"},
    "animevideov3": {"model": "realesr-animevideov3"},
    "general": {"model": "realesr-general-x4v3"},
    "general, denoise 0.3": {"model": "realesr-general-x4v3", "denoise_strength": 0.3},
    "general, stabilize": {"model": "realesr-general-x4v3", "stabilize": 0.8},
    "x4plus": {"model": "realesrgan-x4plus"},
    "x4plus, fidelity 0": {"model": "realesrgan-x4plus", "fidelity": 0.0},
    "x4plus, strength 0.5": {"model": "realesrgan-x4plus", "strength": 0.5},
}
DAMAGES: dict[str, Callable[[Clip], Clip]] = {"clean": lambda clip: clip, "x264 crf 24": partial(as_x264, crf=24)}


@dataclass(frozen=True, slots=True)
class ClipResults:
    """The files of one sequence under one damage: source, truth, and results by the name of their options."""

    name: str
    damage: str
    source: Path
    truth: Path
    results: dict[str, Path]


def made(sequences: list[str], cache: Path, damages: list[str] | None = None) -> Iterator[ClipResults]:
    """Every sequence under every damage; what is in ``cache`` already is taken from there."""
    for text in sequences:
        for damage in damages or DAMAGES:
            yield _made(text, damage, cache)


def sources(sequences: list[str], cache: Path, damages: list[str] | None = None) -> Iterator[ClipResults]:
    """The same without results."""
    for text in sequences:
        for damage in damages or DAMAGES:
            yield _source(text, damage, cache)


def _source(text: str, damage: str, cache: Path) -> ClipResults:
    folder = cache / f"{text.partition('=')[0]}-{damage.replace(' ', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    source, truth = folder / "source.mkv", folder / "truth.mkv"
    if not source.exists() or not truth.exists():
        sequence = read_sequence(text)
        write_lossless(sequence.truth, truth)
        write_lossless(DAMAGES[damage](reduced(sequence.truth)), source)
    return ClipResults(text.partition("=")[0], damage, source, truth, {})


def _made(text: str, damage: str, cache: Path) -> ClipResults:
    clip = _source(text, damage, cache)
    folder, source = clip.source.parent, clip.source
    results = {name: folder / f"{name.replace(', ', '-').replace(' ', '-')}.mkv" for name in ("bicubic", *SETS)}
    for name, path in results.items():
        if path.exists():
            continue
        if name == "bicubic":
            write_lossless(_bicubic(DAMAGES[damage](reduced(read_sequence(text).truth))), path)
        else:
            enhance(source, path, scale=4, codec="ffv1", verify=False, **SETS[name])  # type: ignore[arg-type]
    return replace(clip, results=results)


def _bicubic(source: Clip) -> Clip:
    size = (source.shape[1] * 4, source.shape[2] * 4)
    return np.concatenate([rounded(cubic_up(tensor_of(frame[None]), size)) for frame in source])


def main() -> None:
    """Make all results that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the results")
    wanted = parser.parse_args()
    for clip in made(wanted.sequences, wanted.cache):
        print(clip.name, clip.damage, *clip.results, sep="  ", flush=True)


if __name__ == "__main__":
    main()
