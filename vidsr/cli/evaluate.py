"""``vidsr evaluate``: score a model on pictures with known originals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from vidsr.cli.help import Command

if TYPE_CHECKING:
    from vidsr.training.evaluation import Evaluation

EXAMPLES = """
Examples:

  vidsr evaluate realesrgan-x4plus Set5/
  vidsr evaluate runs/mine/export.safetensors photos/ --scale 4 --json

DATASET is a folder of pairs (img_HR.png and img_LR.png), or of originals, which are then reduced with MATLAB's bicubic
filter. PSNR-Y and SSIM-Y use BT.601 luma, PSNR-RGB uses RGB; all three leave out a border as wide as the scale. LPIPS
(lower is better) uses the whole picture.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `vidsr models list`, or a weights file.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of pictures.")],
    scale: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=8, help="Factor to reduce originals by. Default: the model's scale."),
    ] = None,
    border: Annotated[
        int | None, typer.Option(metavar="PX", min=0, help="Pixels to leave out on each side. Default: the scale.")
    ] = None,
    lpips: Annotated[bool, typer.Option("--lpips/--no-lpips", help="Also measure LPIPS.")] = True,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Device to compute on: auto, cpu, cuda, mps.")] = "auto",
    precision: Annotated[str, typer.Option(metavar="fp32|fp16|bf16", help="Numeric precision.")] = "fp32",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the scores of every picture.")
    ] = False,
) -> None:
    """Score a model on a set of pictures as papers do, with bicubic enlargement for comparison."""
    from vidsr.options.enhance_options import ModelOptions
    from vidsr.training.evaluation import EvaluateSettings
    from vidsr.training.evaluation import evaluate as run

    settings = EvaluateSettings(scale=scale, border=border, lpips=lpips)
    options = ModelOptions(device=device, precision=precision)
    with tqdm(unit="picture", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = run(model, dataset, settings, options, show)
    typer.echo(json.dumps(result.to_json()) if as_json else table(result))


def table(result: Evaluation) -> str:
    """The scores as a table for the terminal."""
    from vidsr.training.evaluation import SCORES

    names = [name for name in SCORES if name in result.pictures[0].model]
    width = max(len("bicubic, mean"), len(result.model) + 6, *(len(p.name) for p in result.pictures))
    rows = [(p.name, p.model) for p in result.pictures]
    rows += [(f"{result.model}, mean", result.means()), ("bicubic, mean", result.means("bicubic"))]
    lines = [" " * width + "".join(f"{SCORES[name][0]:>10}" for name in names)]
    lines += [f"{title:<{width}}" + "".join(f"{row[n]:>10.{SCORES[n][1]}f}" for n in names) for title, row in rows]
    lines.append(f"{len(result.pictures)} pictures, {result.megapixels_per_second:.3f} output megapixels per second")
    return "\n".join([*lines, *result.notes])
