"""Captions over moving ground with ``--text hold`` and without: likeness, legibility and steadiness.

    python -m benchmarks.quality.text_on_video --cache FOLDER foliage=vid4/foliage:0:3:416x240 …

Sequences are as in :mod:`benchmarks.quality.restoration`. Three lines, of 9, 10 and 12 px after a reduction by four,
are drawn over each as signs, as subtitles and as plain light text. Results of a network that draws detail, after the
default steps, are held against the truth in the place of each line: LPIPS (AlexNet), PSNR, the correlation of luma in
and around the letters, by how much a result changes from frame to frame other than the truth does (code values), and,
where the program ``tesseract`` is installed, the share of characters that it misreads in the first frame. Lines of
which less than a tenth is found are named, and left out of the means. ``--damage`` is one of those of
:mod:`benchmarks.quality.multiframe`. ``--pictures FOLDER`` writes free, held and true
frames.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from benchmarks.quality.multiframe import DAMAGES
from benchmarks.quality.restoration import SCALE, Clip, enlarged, read_sequence, reduced, rounded, tensor_of, treated
from benchmarks.quality.text import PART_PX, STYLES, WORDS, Line
from vidsr.filters.flow import luma
from vidsr.filters.hold.small_text import small_text
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips

FONTS_PX = (9, 10, 12)
FOUND = 0.1
#: Letters are darker or lighter than this; what lies within so many pixels of them counts as around them.
_DARK, _LIGHT, _AROUND_PX = 0.25, 0.9, 4
MEASURES = ("LPIPS", "PSNR", "correlation", "wrong change", "misread")


@dataclass(frozen=True, slots=True)
class Written:
    """The truth ``[N, H, W, 3]`` with its lines: what they say, and where."""

    truth: Clip
    texts: list[str]
    places: list[Line]


def written(clip: Clip, name: str, style: str) -> Written:
    """Lines drawn over every frame of ``clip``."""
    chosen = random.Random(sum(map(ord, name + style)))
    texts = [" ".join(chosen.choice(WORDS) for _ in range(2)) for _ in FONTS_PX]
    frames, places = zip(*(_drawn(frame, style, texts) for frame in clip), strict=True)
    return Written(np.stack(frames), texts, places[0])


def _drawn(frame: Clip, style: str, texts: list[str]) -> tuple[Clip, list[Line]]:
    image = Image.fromarray(frame)
    draw, top, places = ImageDraw.Draw(image), 12, list[Line]()
    for font_px, text in zip(FONTS_PX, texts, strict=True):
        font = ImageFont.load_default(font_px * SCALE)
        _, _, width, height = (int(side) for side in draw.textbbox((0, 0), text, font=font))
        left = max(8, (frame.shape[1] - width) // 2)
        if style == "sign":
            draw.rectangle((left - 8, top, left + width + 8, top + height + 8), fill=(230, 228, 215))
        fill = (30, 30, 40) if style == "sign" else (245, 245, 245)
        outline = SCALE if style == "subtitle" else 0
        draw.text((left, top), text, font=font, fill=fill, stroke_width=outline, stroke_fill=(0, 0, 0))
        places.append((left, top, min(frame.shape[1], left + width), min(frame.shape[0], top + height + 8)))
        top += height + 26
    return np.asarray(image), places


def figures(result: Tensor, truth: Tensor, text: str, style: str, lpips: Lpips) -> list[float]:
    """:data:`MEASURES` of one line, ``[N, 3, h, w]`` each; not a number where nothing can be said."""
    shade = luma(truth)
    letters = (shade < _DARK if style == "sign" else shade > _LIGHT).float()
    around = F.max_pool2d(letters, 2 * _AROUND_PX + 1, 1, _AROUND_PX)[:, 0] > 0
    grey = luma(result)
    pairs = [torch.stack((grey[n, 0][around[n]], shade[n, 0][around[n]])) for n in range(len(truth))]
    errors = (result - truth).square().mean((1, 2, 3))
    change = (result.diff(dim=0) - truth.diff(dim=0)).abs().mean() * 255
    return [
        float(np.mean([float(lpips(a[None], b[None])) for a, b in zip(result, truth, strict=True)])),
        float((-10 * errors.log10()).mean()),
        float(np.mean([float(torch.corrcoef(pair)[0, 1]) for pair in pairs])),
        float(change),
        _misread(rounded(result[:1])[0], text),
    ]


def _misread(picture: Clip, text: str) -> float:
    """Edit distance of what tesseract reads, as a share of the characters."""
    if shutil.which("tesseract") is None:
        return float("nan")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.png"
        Image.fromarray(picture).save(path)
        command = ["tesseract", str(path), "-", "--psm", "7"]
        one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        read = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread).stdout
    return _distance(" ".join(read.split()), text) / len(text)


def _distance(a: str, b: str) -> int:
    """Levenshtein's."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (one != other))
    return row[-1]


def lines_of(
    clip: Clip, name: str, style: str, upscaler: Upscaler, lpips: Lpips, wanted: argparse.Namespace
) -> Iterator[tuple[int, float, list[float], list[float]]]:
    """(font, share that is found, figures without the hold, with it) of each line."""
    one = written(clip, name, style)
    source, truth = DAMAGES[wanted.damage](reduced(one.truth)), tensor_of(one.truth)
    free, held = (
        tensor_of(treated(RestoreOptions(text=text), source, enlarged(upscaler, source, wanted.cache)))
        for text in ("free", "hold")
    )
    if wanted.pictures is not None:
        sheet = torch.cat((free[:1], held[:1], truth[:1]), 2)
        Image.fromarray(rounded(sheet)[0]).save(wanted.pictures / f"{name}-{style}.png")
    found = small_text(tensor_of(source[:1]))
    for font_px, text, (left, top, right, bottom) in zip(FONTS_PX, one.texts, one.places, strict=True):
        low = (..., slice(top // SCALE, bottom // SCALE), slice(left // SCALE, right // SCALE))
        share = float(found[low].mean())
        first = max(0, min(top, truth.shape[-2] - PART_PX))
        part = (..., slice(first, max(bottom, first + PART_PX)), slice(left, max(right, left + PART_PX)))
        of_both = [figures(result[part], truth[part], text, style, lpips) for result in (free, held)]
        yield font_px, share, of_both[0], of_both[1]


def _line(name: str, free: np.ndarray, held: np.ndarray) -> str:
    cells = [f"LPIPS {free[0]:.4f} {held[0]:.4f} ({held[0] / free[0] - 1:+.1%})"]
    cells += [f"PSNR {free[1]:.2f} {held[1]:.2f} ({held[1] - free[1]:+.2f} dB)"]
    cells += [f"{one} {free[n]:.3f} {held[n]:.3f}" for n, one in enumerate(MEASURES) if n > 1]
    return f"{name:<26}" + "  ".join(cells)


def main() -> None:
    """Measure every sequence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the network's pictures")
    parser.add_argument("--pictures", type=Path, help="folder for pictures to look at")
    parser.add_argument("--damage", choices=list(DAMAGES), default="clean", help="of the source; clean if left out")
    parser.add_argument("--model", default="realesrgan-x4plus")
    wanted = parser.parse_args()
    wanted.cache.mkdir(parents=True, exist_ok=True)
    lpips, rows = Lpips("alex"), list[tuple[str, str, list[float], list[float]]]()
    with Upscaler(ModelOptions(model=wanted.model, device="cpu")) as upscaler, torch.inference_mode():
        for text in wanted.sequences:
            clip, name = read_sequence(text).truth, text.partition("=")[0]
            for style in STYLES:
                for font_px, share, free, held in lines_of(clip, name, style, upscaler, lpips, wanted):
                    title = f"{name}, {style}, {font_px} px"
                    if share < FOUND:
                        print(f"{title:<26}not found", flush=True)
                        continue
                    print(_line(title, np.array(free), np.array(held)), flush=True)
                    rows.append((name, style, free, held))
    for group in ("", *dict.fromkeys(one[0] for one in rows), *STYLES):
        some = [one for one in rows if group in ("", one[0], one[1])]
        if some:
            free_mean = np.nanmean([one[2] for one in some], axis=0)
            held_mean = np.nanmean([one[3] for one in some], axis=0)
            print(_line(f"{group or 'all'}, {len(some)} lines", free_mean, held_mean))


if __name__ == "__main__":
    main()
