"""``vidsr preview``: a few moments before and after, under one or several sets of options."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from vidsr.cli.flags import was_typed, with_options
from vidsr.cli.help import Command
from vidsr.cli.plan import described
from vidsr.errors import OptionsError
from vidsr.options.command_options import PreviewAllOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.presets import preset_values
from vidsr.options.schema import groups_of
from vidsr.options.span_options import parse_time

EXAMPLES = """
Examples:

  vidsr preview film.mkv
  vidsr preview film.mkv --at 12:30 --at 61.5 --scale 4
  vidsr preview film.mkv --from 12:00 --to 14:30
  vidsr preview film.mkv --count 1 --try "--model realesr-animevideov3" --try "--model realesrgan-x4plus"
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(PreviewAllOptions, footage="source")
def preview(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The video or picture.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The picture to write. Default: CLIP.preview.png."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    options: PreviewAllOptions,
) -> None:
    """Show a few moments enhanced with these options, and estimate the whole job."""
    from vidsr.jobs.preview.estimate import estimate
    from vidsr.jobs.preview.figures import figures_line, moment_figures
    from vidsr.jobs.preview.preview import sheet
    from vidsr.media.pictures.files import is_picture

    # Everything up to here (importing libraries) is start-up that every job has.
    start_seconds = time.process_time()
    shown = options.preview
    target = output or source.with_name(f"{source.stem}.preview.png")
    _check(source, target, overwrite=options.output.overwrite)
    times = [float(parse_time(text, "--at")) for text in shown.at]
    sets = [(text, tried(options, text)) for text in shown.tries] or [(options.model.model, options)]
    columns = [_moments(source, chosen, times, shown.count) for _, chosen in sets]
    figures = [[moment_figures(moment) for moment in moments] for moments in columns]
    under = [[figures_line(one) for one in row] for row in zip(*figures, strict=True)]
    sheet(list(zip(*columns, strict=True)), [text for text, _ in sets], under).save(target)
    report: dict[str, Any] = {
        "sheet": str(target),
        "moments": [m.seconds for m in columns[0]],
        "figures": [{"options": text, "moments": found} for (text, _), found in zip(sets, figures, strict=True)],
        "pictures": _save_pictures(columns, Path(shown.single)) if shown.single is not None else [],
    }
    lines = [str(target)]
    if shown.plan and not is_picture(source):
        report["plans"] = []
        for text, chosen in sets:
            found = estimate(source, chosen, options.sampling, start_seconds=start_seconds)
            report["plans"].append({"options": text, **found.to_json()})
            lines.append(f"\n{text}:\n{described(found)}")
    typer.echo(json.dumps(report) if as_json else "\n".join(lines))


def _moments(source: Path, options: EnhanceOptions, times: list[float], count: int) -> list[Any]:
    from vidsr.jobs.preview.preview import Previewer

    previewer = Previewer(source, options)
    return [previewer.at(seconds) for seconds in times or previewer.spread(count)]


def _check(source: Path, target: Path, *, overwrite: bool) -> None:
    from vidsr.jobs.disk_space import check_output

    if target.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise OptionsError(f"--output {target}: the sheet must be a .png, .jpg, .jpeg or .webp file")
    check_output(source, target, overwrite=overwrite)


def _save_pictures(columns: list[list[Any]], folder: Path) -> list[str]:
    """Write before and after of every moment and option set as PNG; the paths."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, moments in enumerate(columns, 1):
        for moment in moments:
            stem = f"{moment.seconds:09.3f}".replace(".", "_")
            for kind, pixels in (("before", moment.before), (f"after-{number}", moment.after)):
                path = folder / f"{stem}-{kind}.png"
                Image.fromarray(pixels).save(path)
                names.append(str(path))
    return list(dict.fromkeys(names))


def tried(options: EnhanceOptions, text: str) -> EnhanceOptions:
    """The options overridden by those in ``text``, parsed like the command line of ``vidsr enhance``.

    Raises:
        OptionsError: ``text`` contains something that is not an option of ``vidsr enhance``.
    """
    from typer.main import get_command

    from vidsr.cli.enhance import app as enhance_app

    try:
        context = get_command(enhance_app).make_context("--try", ["SOURCE", *shlex.split(text)])
    except (typer.TyperException, ValueError) as error:
        reason = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        raise OptionsError(f'--try "{text}": {reason}') from error
    given = {name: v for name, v in context.params.items() if name != "sources" and was_typed(context, name)}
    job = EnhanceOptions(**{name: getattr(options, name) for name, _ in groups_of(EnhanceOptions)})
    flat = {name: value for group in job.to_json().values() for name, value in group.items()}
    unknown = [name for name in given if name not in flat]
    if unknown:
        raise OptionsError(f'--try "{text}": takes only options that affect the result, not {", ".join(unknown)}')
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    under = preset_values(given["preset"], EnhanceOptions) if "preset" in given else None
    if under is not None:
        del given["preset"]
    return EnhanceOptions.from_flat(flat | (under or {}) | given)
