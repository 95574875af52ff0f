"""``vidsr config``: where the value of each option comes from, and the available presets."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command, Group
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.layers import Layered, Origin
from vidsr.options.presets import presets_folder, saved_presets
from vidsr.options.restore_options import MATERIALS
from vidsr.options.schema import describe, groups_of

EXAMPLES = """
Examples:

  vidsr config show
  vidsr config show tapes/tape1.mpg --preset vhs --crf 16
  vidsr config presets
"""

_SHOW_EXAMPLES = """
Examples:

  vidsr config show --changed
  vidsr config show tapes/tape1.mpg --preset vhs --crf 16
"""
_PRESETS_EXAMPLES = """
Examples:

  vidsr config presets
  vidsr config presets --json
"""

app = typer.Typer(cls=Group, rich_markup_mode=None, no_args_is_help=True, add_completion=False, epilog=EXAMPLES)


@app.callback()
def config() -> None:
    """Show where each option's value comes from, and the available presets."""


@app.command(cls=Command, epilog=_SHOW_EXAMPLES)
@with_options(footage="source")
def show(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="A source: vidsr.toml in its folder counts.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only values that are not the default.")] = False,
    *,
    options: EnhanceOptions,
    layers: Layered,
) -> None:
    """Show the value of every option of `vidsr enhance` and where it comes from.

    In this order, the first that gives a value counts: command line, environment (VIDSR_CRF=18), preset, vidsr.toml
    in the folder of the source, default.
    """
    table: dict[str, dict[str, Any]] = {}
    lines = []
    for group, kind in groups_of(EnhanceOptions):
        for f in fields(kind):
            origin = layers.origins.get(f.name, Origin("default"))
            if changed and origin.kind == "default":
                continue
            value = describe(f).plain(getattr(getattr(options, group), f.name))
            table.setdefault(group, {})[f.name] = {"value": value, "from": origin.kind, "place": origin.place}
            shown = "-" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else value
            lines.append(f"{group + '.' + f.name:26} {shown!s:28} {origin}")
    typer.echo(json.dumps(table) if as_json else "\n".join(lines) or "every option has its default")


@app.command(cls=Command, epilog=_PRESETS_EXAMPLES)
def presets(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the presets: those for kinds of material, and those you saved."""
    saved = {path.stem: str(path) for path in saved_presets()}
    if as_json:
        typer.echo(json.dumps({"materials": list(MATERIALS), "saved": saved, "folder": str(presets_folder())}))
        return
    typer.echo("materials: " + ", ".join(MATERIALS))
    typer.echo(f"saved in {presets_folder()}:" + ("" if saved else " none"))
    for name, path in saved.items():
        typer.echo(f"  {name:20} {path}")
