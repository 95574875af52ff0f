"""``vidsr dataset``: build training datasets and preview their degradations."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command, Group
from vidsr.errors import OutputError
from vidsr.training.options import MakeOptions, SheetOptions

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
    help="Build training datasets and preview their degradations.",
    epilog=_EXAMPLES,
)

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
@with_options(MakeOptions)
def make(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE... OUT", help="Pictures, videos or folders of them, followed by the folder to create."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    *,
    options: MakeOptions,
) -> None:
    """Cut pictures and videos into patches, and write a report of what was used to OUT/report.html.

    From each video, takes the sharpest frames that differ from each other, equally from all scenes.
    """
    from tqdm import tqdm

    from vidsr.training.dataset.make import make_dataset

    if len(paths) < 2:
        raise typer.BadParameter("give at least one source and the folder to create", param_hint="SOURCE... OUT")
    *sources, out = paths
    with tqdm(unit="source", disable=not sys.stderr.isatty()) as bar:

        def on_source(path: Path) -> None:
            bar.set_postfix_str(path.name)
            bar.update()

        tally = make_dataset(sources, out, options, on_source=on_source)
    for _, reason in tally.refused:
        print(f"vidsr: skipped: {reason}", file=sys.stderr)
    facts = {
        "dataset": str(out),
        "patches": tally.patches,
        "pictures": len(tally.taken),
        "videos": len(tally.videos),
        "flat": tally.flat,
        "refused": len(tally.refused),
        "report": str(out / "report.html"),
    }
    print(json.dumps(facts, indent=2) if as_json else _text(facts))


def _text(facts: dict[str, object]) -> str:
    return (
        f"{facts['dataset']}: {facts['patches']} patches from {facts['pictures']} pictures and frames; "
        f"skipped {facts['flat']} flat patches and {facts['refused']} sources; see {facts['report']}"
    )


@app.command(short_help="Write a sheet of example patches.", cls=Command, epilog=_PREVIEW_EXAMPLES)
@with_options(SheetOptions)
def preview(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder made by `vidsr dataset make`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
    *,
    options: SheetOptions,
) -> None:
    """Write a picture of patches before and after the degradations, as training will see them."""
    from vidsr.option_toml import read_toml
    from vidsr.training.dataset.example_sheet import write_sheet
    from vidsr.training.options import TrainOptions
    from vidsr.training.run_presets import preset_options

    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: the sheet is a PNG; give a name that ends in .png")
    file = options.options_file
    chosen: TrainOptions = read_toml(Path(file), TrainOptions) if file else preset_options(options.preset)
    if file is None:
        from vidsr.training.dataset.patch_store import PatchStore

        side = PatchStore(dataset).index.patch
        if side < chosen.data.patch:
            chosen = replace(chosen, data=replace(chosen.data, patch=side // 16 * 16))
    write_sheet(dataset, out, chosen, options.rows)
    print(out)
