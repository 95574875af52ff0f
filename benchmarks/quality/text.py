"""Small text: how much of it is found, how much is found where there is none, and what ``--text hold`` is worth.

    python -m benchmarks.quality.text FOLDER [--crf 26] [--font 9]

Pictures of the folder (PNG without text, of at least 320x160) are looked at as they are, and reduced by two and four:
the share of pixels that is taken for text, and in how many pictures. Then lines are drawn over each, as signs (dark on
light), as subtitles (light with a dark outline) and as light text without one, in fonts of several sizes; results of a
network that draws detail, with the hold and without, are held against them: LPIPS (AlexNet) and PSNR in each line.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from benchmarks.quality.restoration import Clip, as_x264, rounded, tensor_of, treated
from vidsr.filters.hold.small_text import small_text
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips

SCALE = 4
SIZE = (640, 320)
STYLES = ("sign", "subtitle", "plain")
FONTS_PX = (7, 9, 12, 16, 22)
WORDS = ("Harbour", "Office", "1987", "exit", "platform", "twelve", "opening", "Monday", "closed", "Kingston", "Road")
PART_PX = 64
Line = tuple[int, int, int, int]


def written(picture: Image.Image, style: str, font_px: int, seed: int) -> tuple[Clip, list[Line]]:
    """The truth ``[1, H, W, 3]`` with lines of text, and their boxes: left, top, right, bottom."""
    chosen = random.Random(seed)
    image = picture.resize(SIZE, Image.Resampling.BICUBIC)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(font_px * SCALE)
    lines, top = [], 20
    while top + 2 * font_px * SCALE < SIZE[1]:
        text = " ".join(chosen.choice(WORDS) for _ in range(2 if font_px > 12 else 3))
        _, _, right, bottom = (int(side) for side in draw.textbbox((0, 0), text, font=font))
        left = chosen.randint(12, max(13, SIZE[0] - right - 12))
        if style == "sign":
            draw.rectangle((left - 8, top, left + right + 8, top + bottom + 8), fill=(230, 228, 215))
        draw.text(
            (left, top),
            text,
            font=font,
            fill=(30, 30, 40) if style == "sign" else (245, 245, 245),
            stroke_width=SCALE if style == "subtitle" else 0,
            stroke_fill=(0, 0, 0),
        )
        lines.append((left, top, min(SIZE[0], left + right), min(SIZE[1], top + bottom + 8)))
        top += bottom + 40
    return np.asarray(image)[None], lines


def free_of_text(paths: list[Path]) -> Iterator[str]:
    """One line for each reduction."""
    for factor in (1, 2, 4):
        shares = [float(small_text(F.avg_pool2d(_unit(path), factor)).mean()) for path in paths]
        taken = [share for share in shares if share > 0]
        yield f"no text, 1/{factor}: {np.mean(shares):.2%} of all pixels, in {len(taken)} of {len(shares)} pictures"


def _unit(path: Path) -> Tensor:
    return tensor_of(np.asarray(Image.open(path).convert("RGB"))[None])


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of PNG pictures")
    parser.add_argument("--every", type=int, default=9, help="take every so many-th picture for the results")
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--font", type=int, action="append", help="only this size in pixels; may be repeated")
    parser.add_argument("--crf", type=int, help="sources go through x264")
    wanted = parser.parse_args()
    paths = sorted(wanted.pictures.glob("*.png"))
    lpips = Lpips("alex")
    with Upscaler(ModelOptions(model=wanted.model, device="cpu")) as upscaler, torch.inference_mode():
        if wanted.crf is None:
            print(*free_of_text(paths[1::4]), sep="\n", flush=True)
        for font_px in wanted.font or FONTS_PX:
            for style in STYLES:
                print(
                    f"{font_px:>3} px {style:<9}",
                    _row(paths[:: wanted.every], style, font_px, wanted.crf, upscaler, lpips),
                    flush=True,
                )


def _row(paths: list[Path], style: str, font_px: int, crf: int | None, upscaler: Upscaler, lpips: Lpips) -> str:
    covered, values = [], []
    for number, path in enumerate(paths):
        truth, lines = written(Image.open(path).convert("RGB"), style, font_px, number)
        source = rounded(F.avg_pool2d(tensor_of(truth), SCALE))
        source = source if crf is None else as_x264(source, crf)
        low, high = tensor_of(source), tensor_of(truth)
        found = small_text(low)
        out = upscaler.fitted(low).float()
        free, hold = (tensor_of(treated(RestoreOptions(text=text), source, iter([out]))) for text in ("free", "hold"))
        for left, top, right, bottom in lines:
            inner = [edge // SCALE for edge in (top, bottom, left, right)]
            covered.append(float(found[..., inner[0] : inner[1], inner[2] : inner[3]].mean()))
            rows = slice(min(top, SIZE[1] - PART_PX), max(bottom, min(top, SIZE[1] - PART_PX) + PART_PX))
            part = (..., rows, slice(left, max(right, left + PART_PX)))
            errors = [(one[part] - high[part]).square().mean() for one in (free, hold)]
            values.append(
                [
                    *(float(lpips(one[part], high[part])) for one in (free, hold)),
                    *(float(-10 * error.log10()) for error in errors),
                ]
            )
    a, b, c, d = np.mean(values, axis=0)
    worse = sum(hold > 1.02 * free for free, hold, _, _ in values)
    half = sum(share > 0.5 for share in covered)
    return (
        f"{half:>3} of {len(covered)} lines found; LPIPS {a:.4f} {b:.4f} ({b / a - 1:+.1%}; {worse} lines worse by "
        f"2 %), PSNR {c:.2f} {d:.2f} ({d - c:+.2f} dB)"
    )


if __name__ == "__main__":
    main()
