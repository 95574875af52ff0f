"""``vidsr evaluate``: score a model on pictures whose originals are known."""

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

DATASET is a folder of pairs (img_HR.png beside img_LR.png), or of originals that are reduced here, bicubically as
MATLAB does. PSNR-Y and SSIM-Y are of BT.601 luma, PSNR-RGB of colour, all without a border of one scale; LPIPS (lower
is better) is of the whole picture.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `vidsr models list`, or a weights file.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of pictures.")],
    scale: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=8, help="Reduce originals by this; the model's own scale if not given."),
    ] = None,
    border: Annotated[
        int | None, typer.Option(metavar="PX", min=0, help="Pixels left out per side; the scale if not given.")
    ] = None,
    lpips: Annotated[bool, typer.Option("--lpips/--no-lpips", help="Measure LPIPS too.")] = True,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where to compute: auto, cpu, cuda, mps.")] = "auto",
    precision: Annotated[str, typer.Option(metavar="fp32|fp16|bf16", help="Arithmetic of the network.")] = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every picture.")] = False,
) -> None:
    """Score a model on a set of pictures as papers do, next to plain bicubic enlargement."""
    from vidsr.options import ModelOptions
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
    lines.append(f"{len(result.pictures)} pictures, {result.megapixels_per_second:.3f} megapixels of result per second")
    return "\n".join([*lines, *result.notes])
