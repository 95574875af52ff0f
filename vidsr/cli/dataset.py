"""``vidsr dataset``: make a dataset to train on, and look at what its degradations do."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.help import Command, Group
from vidsr.errors import OutputError

_EXAMPLES = """
Examples:

  vidsr dataset make photos/ holiday.mkv my-data
  vidsr dataset preview my-data sheet.png
"""

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Make a dataset to train on, and look at what its degradations do.",
    epilog=_EXAMPLES,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]

_MAKE_EXAMPLES = """
Examples:

  vidsr dataset make photos/ holiday.mkv my-data
  vidsr dataset make film.mp4 my-data --frames 200 --patch 320
  vidsr dataset make high/ my-pairs --low low/ --scale 4
"""

_PREVIEW_EXAMPLES = """
Examples:

  vidsr dataset preview my-data sheet.png
  vidsr dataset preview my-data sheet.png --options train.toml --rows 8
  vidsr dataset preview my-data sheet.png --preset archival
"""


@app.command(short_help="Cut pictures and videos into patches.", cls=Command, epilog=_MAKE_EXAMPLES)
def make(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE... OUT", help="Pictures, videos, folders of them; then the new folder."),
    ],
    patch: Annotated[int, typer.Option(metavar="PX", help="Side of the stored patches.")] = 256,
    frames: Annotated[int, typer.Option(metavar="N", help="Most frames taken of one video.")] = 40,
    detail: Annotated[
        float, typer.Option(metavar="N", help="Leave out patches with less detail than this, of 255.")
    ] = 2.0,
    low: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Low-resolution twins: makes a paired dataset.")
    ] = None,
    scale: Annotated[int, typer.Option(metavar="N", help="Scale of the pairs.")] = 4,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first source that cannot be used.")] = False,
    as_json: Json = False,
) -> None:
    """Cut pictures and videos into patches, with a report (OUT/report.html) of what was taken.

    Of videos the sharpest frames are taken that differ from each other, in equal parts from all scenes.
    """
    from tqdm import tqdm

    from vidsr.training.dataset.make import MakeOptions, make_dataset

    if len(paths) < 2:
        raise typer.BadParameter("give at least one source and the folder to make", param_hint="SOURCE... OUT")
    *sources, out = paths
    options = MakeOptions(patch=patch, frames=frames, detail=detail, scale=scale, strict=strict)
    with tqdm(unit="source", disable=not sys.stderr.isatty()) as bar:

        def on_source(path: Path) -> None:
            bar.set_postfix_str(path.name)
            bar.update()

        tally = make_dataset(sources, out, options, low=low, on_source=on_source)
    for _, reason in tally.refused:
        print(f"vidsr: left out: {reason}", file=sys.stderr)
    facts = {
        "dataset": str(out),
        "patches": tally.patches,
        "pictures": len(tally.taken),
        "videos": len(tally.videos),
        "flat": tally.flat,
        "refused": len(tally.refused),
        "report": str(out / "report.html"),
    }
    print(json.dumps(facts, indent=2) if as_json else _told(facts))


def _told(facts: dict[str, object]) -> str:
    return (
        f"{facts['dataset']}: {facts['patches']} patches from {facts['pictures']} pictures and frames; "
        f"{facts['flat']} flat ones and {facts['refused']} sources left out; see {facts['report']}"
    )


@app.command(short_help="Write a sheet of examples.", cls=Command, epilog=_PREVIEW_EXAMPLES)
def preview(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder made by `vidsr dataset make`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
    options: Annotated[Path | None, typer.Option(metavar="OPTIONS.toml", help="Options of the training run.")] = None,
    preset: Annotated[
        str, typer.Option(metavar="esrgan|realesrgan|archival|tiny", help="In place of --options.")
    ] = "realesrgan",
    rows: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Rows of the sheet, two examples each.")] = 6,
) -> None:
    """Write a picture of patches and what the degradations make of them: what training will see."""
    from vidsr.training.dataset.example_sheet import write_sheet
    from vidsr.training.options import TrainOptions
    from vidsr.training.presets import preset_options
    from vidsr.training.tables import read_toml

    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: the sheet is a PNG; give a name that ends in .png")
    chosen: TrainOptions = read_toml(options, TrainOptions) if options else preset_options(preset)
    if options is None:
        from vidsr.training.dataset.patch_store import PatchStore

        side = PatchStore(dataset).index.patch
        if side < chosen.data.patch:
            chosen = replace(chosen, data=replace(chosen.data, patch=side // 16 * 16))
    write_sheet(dataset, out, chosen, rows)
    print(out)
