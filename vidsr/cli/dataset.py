"""``vidsr dataset``: build training datasets and preview their degradations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command, Group
from vidsr.errors import OutputError
from vidsr.training.options import MakeOptions, SheetOptions

if TYPE_CHECKING:
    from vidsr.training.dataset.clips.clip_page import ClipTally
    from vidsr.training.dataset.dataset_page import Tally

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
  vidsr dataset make evening.mkv my-clips --clips 200 --length 15
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

    From each video, takes the sharpest frames that differ from each other, equally from all scenes. With --clips, takes
    short clips instead, of all speeds of motion alike, and films pictures with a made-up camera; the same command
    continues a stopped run.
    """
    from tqdm import tqdm

    from vidsr.training.dataset.clips.clip_making import make_clips
    from vidsr.training.dataset.make import make_dataset

    if len(paths) < 2:
        raise typer.BadParameter("give at least one source and the folder to create", param_hint="SOURCE... OUT")
    *sources, out = paths
    with tqdm(unit="source", disable=not sys.stderr.isatty()) as bar:

        def on_source(path: Path) -> None:
            bar.set_postfix_str(path.name)
            bar.update()

        def on_share(path: Path, share: float) -> None:
            bar.set_postfix_str(f"{path.name} {share:.0%}")

        if options.clips:
            facts, refused = _of_clips(make_clips(sources, out, options, on_source=on_source, on_share=on_share))
        else:
            facts, refused = _of_patches(make_dataset(sources, out, options, on_source=on_source))
    for _, reason in refused:
        print(f"vidsr: skipped: {reason}", file=sys.stderr)
    facts = {"dataset": str(out), **facts, "refused": len(refused), "report": str(out / "report.html")}
    print(json.dumps(facts, indent=2) if as_json else _text(facts))


def _of_patches(tally: Tally) -> tuple[dict[str, object], list[tuple[str, str]]]:
    facts: dict[str, object] = {
        "patches": tally.patches,
        "pictures": len(tally.taken),
        "videos": len(tally.videos),
        "flat": tally.flat,
    }
    return facts, tally.refused


def _of_clips(tally: ClipTally) -> tuple[dict[str, object], list[tuple[str, str]]]:
    from vidsr.media.pictures.files import is_picture

    pictures = sum(is_picture(Path(source["path"])) for source in tally.videos)
    facts: dict[str, object] = {
        "clips": tally.clips,
        "frames": tally.length,
        "videos": len(tally.videos) - pictures,
        "pictures": pictures,
        "motion": tally.bins(),
    }
    return facts, tally.refused


def _text(facts: dict[str, object]) -> str:
    end = f"{facts['refused']} sources; see {facts['report']}"
    if "clips" in facts:
        counted = [(facts["videos"], "video"), (facts["pictures"], "picture")]
        sources = " and ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in counted if n)
        return f"{facts['dataset']}: {facts['clips']} clips of {facts['frames']} frames from {sources}; skipped {end}"
    return (
        f"{facts['dataset']}: {facts['patches']} patches from {facts['pictures']} pictures and frames; "
        f"skipped {facts['flat']} flat patches and {end}"
    )


@app.command(short_help="Write a sheet of example patches.", cls=Command, epilog=_PREVIEW_EXAMPLES)
@with_options(SheetOptions)
def preview(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder made by `vidsr dataset make`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
    *,
    options: SheetOptions,
) -> None:
    """Write a picture of patches or clips before and after the degradations, as training will see them."""
    from vidsr.options.toml import read_toml
    from vidsr.training.dataset.example_sheet import fitted, write_sheet
    from vidsr.training.options import TrainOptions
    from vidsr.training.run_presets import preset_options

    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: the sheet is a PNG; give a name that ends in .png")
    file = options.options_file
    chosen: TrainOptions = read_toml(Path(file), TrainOptions) if file else preset_options(options.preset)
    if file is None:
        chosen = fitted(chosen, dataset)
    write_sheet(dataset, out, chosen, options.rows)
    print(out)
