"""``vidsr compare``: measure videos against a reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import OptionsError, OutputError
from vidsr.options import EnhanceOptions

if TYPE_CHECKING:
    from vidsr.jobs.compare.compare import CompareResult

EXAMPLES = """
Examples:

  vidsr compare original.mkv enhanced.mkv
  vidsr compare master.mov a.mkv b.mkv --report comparison.html
  vidsr compare master.mov a.mkv --measures psnr_y,ssim,vmaf --json
  vidsr compare small.mp4 small.x4.mkv --fit other
  vidsr compare film.mkv part.x4.mkv --fit reference --from 1:02:03.5 --to 1:05:00

Measures: psnr and ssim of RGB, psnr_y of luma, ms_ssim, lpips (lower is better), vmaf, and for temporal
stability tof and warping_error (lower is better). Frames are paired by their timestamps.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("span.start", "span.end", "span.duration", "span.frames"))
def compare(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The video to measure the others against.")],
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="One or more videos.")],
    measures: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Measures to compute. Default: all that are available.")
    ] = None,
    fit: Annotated[
        str, typer.Option(metavar="none|reference|other", help="If sizes differ, resize to the size of this one.")
    ] = "none",
    align: Annotated[str, typer.Option(metavar="pts|index", help="Pair frames by time or by number.")] = "pts",
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after this many pairs of frames.")] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Device to compute on: auto, cpu, cuda, mps.")] = "auto",
    report: Annotated[
        Path | None, typer.Option(metavar="OUT.html", help="Write an HTML report with curves and the worst frames.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="OUT.csv", help="Write the values of every frame as CSV.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing reports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all values.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    *,
    options: EnhanceOptions,
) -> None:
    """Measure how close videos are to a reference, and how stable they are over time.

    With --from, --to or --frames, a part of the reference is compared with the same part of the others. Videos that are
    no longer than the part, such as results made from it, are compared whole.
    """
    if fit not in ("none", "reference", "other"):
        raise OptionsError(f"--fit {fit}: must be none, reference or other")
    if align not in ("pts", "index"):
        raise OptionsError(f"--align {align}: must be pts or index")
    for path in (report, csv):
        _check_target(path, [reference, *others], overwrite)
    from vidsr.cli.progress import Bar
    from vidsr.jobs.compare.compare import CompareSettings
    from vidsr.jobs.compare.compare import compare as run
    from vidsr.storage import write_atomically

    settings = CompareSettings(
        measures=tuple(name.strip() for name in measures.split(",")) if measures else None,
        fit=fit,  # type: ignore[arg-type]  # checked above
        align=align,  # type: ignore[arg-type]
        limit=limit,
        device=device,
        span=options.span,
    )
    with Bar(quiet=quiet) as bar:
        result = run(reference, others, settings, bar)
    if csv is not None:
        write_atomically(csv, result.to_csv().encode())
    if report is not None:
        from vidsr.quality.comparison_page import page

        write_atomically(report, page(result.to_json(), [o.measured.worst for o in result.others]).encode())
    typer.echo(json.dumps(result.to_json()) if as_json else table(result))


def table(result: CompareResult) -> str:
    """The means as a table for the terminal."""
    from vidsr.quality.comparison import MEASURES

    means = [other.measured.means() for other in result.others]
    names = [name for name in MEASURES if any(name in m for m in means)]
    width = max([len("(higher is better)"), *(len(str(o.party.path)) for o in result.others)])
    lines = [" " * width + "".join(f"{name:>14}" for name in names)]
    lines.append(" " * width + "".join(f"{'higher' if MEASURES[n][1] else 'lower':>14}" for n in names))
    for other, mean in zip(result.others, means, strict=True):
        cells = [f"{mean[n]:>14.{MEASURES[n][2]}f}" if n in mean else f"{'-':>14}" for n in names]
        lines.append(f"{other.party.path!s:<{width}}" + "".join(cells))
    for other in result.others:
        lines.append(f"{other.party.path}: {len(other.measured.seconds)} frames compared with {result.reference.path}")
        lines += [f"  {note}" for note in other.notes]
    return "\n".join(lines)


def _check_target(path: Path | None, sources: list[Path], overwrite: bool) -> None:
    if path is None:
        return
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it or choose another path")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise OutputError(f"{path} is one of the input videos; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} already exists; use --overwrite to replace it")
