"""What `--model auto` takes pictures and clips for, and what each model would have made of them.

    python -m benchmarks.quality.model_choice --drawn cartoon.mp4 a.png --filmed carphone.mp4 photos/
    python -m benchmarks.quality.model_choice --models --drawn cartoon.mp4 --filmed carphone.mp4

A folder counts as its pictures, one by one. The first form prints the confusion table and what was judged wrongly. With
``--models`` the middle of a frame of each is reduced by four, also as JPEG, enlarged by each model with the default
steps, and held against the original by LPIPS (AlexNet): per kind and damage the geometric mean against
realesrgan-x4plus, and how often a model is the best.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.quality.restoration import Clip, _frame_of, as_jpeg, reduced, rounded, tensor_of
from vidsr.filters.after.post import post_steps
from vidsr.inference.colour import rgb8_of
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.choosing.look import kind_of_pictures, kind_of_video
from vidsr.media.pictures.files import is_picture
from vidsr.media.probe import probe
from vidsr.media.samples import frames_near
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips

MODELS = (
    "realesrgan-x4plus",
    "realesrgan-x4plus-anime-6B",
    "realesr-general-x4v3",
    "realesr-animevideov3",
    "faithful",
)
DAMAGES = {"clean": None, "JPEG 75": 75, "JPEG 40": 40}
KINDS = ("drawings", "camera footage")


def files_of(places: Sequence[Path]) -> Iterator[Path]:
    """The files, and the pictures of the folders."""
    for place in places:
        yield from sorted(p for p in place.iterdir() if is_picture(p)) if place.is_dir() else [place]


def judged(path: Path) -> str:
    """What vidsr takes a file for."""
    return kind_of_pictures([path]) if is_picture(path) else kind_of_video(probe(path))


def truth(path: Path, side: int) -> Clip:
    """The middle of a picture, or of a frame after two seconds, at most ``side`` px; large ones are halved first."""
    picture = Image.open(path).convert("RGB") if is_picture(path) else Image.fromarray(frame_of(path))
    if picture.height >= 700:
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
    width, height = (min(length, side) // 4 * 4 for length in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return np.asarray(picture)[None, top : top + height, left : left + width]


def frame_of(path: Path) -> Clip:
    """A frame of a video."""
    return rgb8_of(frames_near(probe(path), 2.0, 0, 1)[0])


@torch.inference_mode()
def distances(original: Clip, source: Clip, upscalers: dict[str, Upscaler], lpips: Lpips) -> dict[str, float]:
    """LPIPS of each model's result with the default steps."""
    low, wanted, found = tensor_of(source), tensor_of(original), {}
    for name, upscaler in upscalers.items():
        result = upscaler.fitted(low).float()
        for step in post_steps(RestoreOptions()):
            result = step(low, result, [_frame_of(source[0], 0)])
        found[name] = float(lpips(tensor_of(rounded(result)), wanted))
    return found


def compare_models(files: dict[str, list[Path]], side: int) -> None:
    """Print how the models compare on each kind."""
    upscalers, lpips = {name: Upscaler(ModelOptions(model=name)) for name in MODELS}, Lpips("alex")
    rows: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for kind in KINDS:
        for path in files[kind]:
            original = truth(path, side)
            for damage, quality in DAMAGES.items():
                source = reduced(original) if quality is None else as_jpeg(reduced(original), quality)
                rows[kind, damage].append(distances(original, source, upscalers, lpips))
    for (kind, damage), found in rows.items():
        best = Counter(min(row, key=row.__getitem__) for row in found)
        print(f"{kind}, {damage}: {len(found)}")
        for name in MODELS:
            change = np.mean([np.log(row[name] / row[MODELS[0]]) for row in found])
            print(f"  {name:<28} LPIPS {np.exp(change) - 1:+6.1%}  best for {best[name]}", flush=True)


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", nargs="+", type=Path, default=[], metavar="FILE|FOLDER")
    parser.add_argument("--filmed", nargs="+", type=Path, default=[], metavar="FILE|FOLDER")
    parser.add_argument("--models", action="store_true", help="compare the models instead")
    parser.add_argument("--side", type=int, default=224, help="of the part that is compared, in pixels")
    wanted = parser.parse_args()
    files = dict(zip(KINDS, (list(files_of(wanted.drawn)), list(files_of(wanted.filmed))), strict=True))
    if wanted.models:
        compare_models(files, wanted.side)
        return
    print(f"{'':<16}{'as drawings':>12}{'as footage':>12}   wrong")
    for kind in KINDS:
        found = {path.name: judged(path) for path in files[kind]}
        count = Counter(found.values())
        wrong = ", ".join(name for name, said in found.items() if said != kind)
        print(f"{kind:<16}{count[KINDS[0]]:>12}{count[KINDS[1]]:>12}   {wrong}", flush=True)


if __name__ == "__main__":
    main()
