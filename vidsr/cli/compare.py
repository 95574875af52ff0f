"""``vidsr compare``: measure videos against a reference, or without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import OptionsError, OutputError
from vidsr.options.enhance_options import EnhanceOptions

if TYPE_CHECKING:
    from vidsr.jobs.compare.assess import AssessResult
    from vidsr.jobs.compare.blind import BlindTest
    from vidsr.jobs.compare.compare import CompareResult, CompareSettings
    from vidsr.jobs.state.events import Progress

EXAMPLES = """
Examples:

  vidsr compare original.mkv enhanced.mkv
  vidsr compare master.mov a.mkv b.mkv --report comparison.html
  vidsr compare master.mov a.mkv --measures psnr_y,ssim,vmaf --json
  vidsr compare small.mp4 small.x4.mkv --fit other
  vidsr compare film.mkv part.x4.mkv --fit reference --from 1:02:03.5 --to 1:05:00
  vidsr compare --blind a.x4.mkv b.x4.mkv --moments 12
  vidsr compare film.mkv film.x4.mkv --invention map.png
  vidsr compare film.mkv film.x4.mkv --invention map.json --report invention.html
  vidsr compare --no-reference a.x4.mkv b.x4.mkv --source film.mkv --report ranking.html

Measures: psnr and ssim of RGB, psnr_y of luma, ms_ssim, lpips (lower is better), vmaf, and for temporal
stability tof and warping_error (lower is better). Frames are paired by their timestamps.
Without a reference: niqe, cambi, blockiness, flicker (lower is better) and sharpness; with --source also
consistency, vmaf_neg, sharpness_gained and flicker_gained.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(only=("span.start", "span.end", "span.duration", "span.frames"))
def compare(
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="REFERENCE OTHER...", help="The video to measure the others against, then the others."),
    ],
    no_reference: Annotated[
        bool, typer.Option("--no-reference", help="Measure all videos without an original, and rank them.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --no-reference: what the videos were made from.", show_default=False),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Show pairs of pictures in a browser without names, and count your votes.")
    ] = False,
    votes: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="With --blind: where votes are kept. Default: by the first video."),
    ] = None,
    moments: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="With --blind: moments to show.")] = 8,
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="With --blind: port of the page.")] = 8766,
    invention: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure how far one RESULT is supported by its SOURCE, given in place of the reference: figures "
            "(.json), a few moments (.png) or a map of every frame (.mkv). With --report, the page shows it, too.",
        ),
    ] = None,
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
    """Measure how close videos are to a reference, and how stable they are over time; or rank them without one.

    With --from, --to or --frames, a part of the reference is compared with the same part of the others. Videos that are
    no longer than the part, such as results made from it, are compared whole.
    """
    if fit not in ("none", "reference", "other"):
        raise OptionsError(f"--fit {fit}: must be none, reference or other")
    if align not in ("pts", "index"):
        raise OptionsError(f"--align {align}: must be pts or index")
    if source is not None and not no_reference:
        raise OptionsError(f"--source {source}: only with --no-reference; the first video is the reference otherwise")
    if len(videos) < 2 and not no_reference:
        raise OptionsError("nothing to compare the reference with: name at least one other video, or --no-reference")
    if blind and (no_reference or report is not None or csv is not None or measures is not None):
        raise OptionsError("--blind asks a person: leave out --no-reference, --measures, --report and --csv")
    if blind:
        _blind(videos, votes, moments, port, options, as_json=as_json, quiet=quiet)
        return
    if votes is not None:
        raise OptionsError(f"--votes {votes}: only with --blind")
    for path in (report, csv):
        _check_target(path, [*videos, *([] if source is None else [source])], overwrite)
    measured = None
    if invention is not None:
        if no_reference:
            raise OptionsError("--invention takes the source in place of the reference: leave out --no-reference")
        measured = _invention(videos, invention, options, device, overwrite=overwrite, quiet=quiet)
        if report is None and csv is None:
            typer.echo(json.dumps(measured.figures) if as_json else measured.table)
            return
        fit = "reference" if fit == "none" else fit  # a result is larger than its source
    from vidsr.cli.progress import Bar
    from vidsr.jobs.compare.compare import CompareSettings
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
        if no_reference:
            found = _assessed(videos, source, settings, bar)
        else:
            found = _compared(videos, settings, bar, None if measured is None else measured.figures)
    if csv is not None:
        write_atomically(csv, found.csv.encode())
    if report is not None:
        write_atomically(report, found.page().encode())
    if measured is not None:
        found.figures["results"][0]["invention"] = measured.figures
        found = replace(found, table=f"{measured.table}\n{found.table}")
    typer.echo(json.dumps(found.figures) if as_json else found.table)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is printed and written of a comparison of either kind."""

    figures: dict[str, Any]
    table: str
    csv: str = ""
    page: Callable[[], str] = str


def _blind(
    videos: list[Path],
    votes: Path | None,
    moments: int,
    port: int,
    options: EnhanceOptions,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Serve the page until the person has finished, unless all votes are there already; print what the votes say."""
    from vidsr.cli.progress import Bar
    from vidsr.jobs.compare.blind import BlindTest
    from vidsr.web.blind.blind_server import serve_blind

    file = votes or videos[0].with_name(f"{videos[0].stem}.votes.json")
    if not file.parent.is_dir():
        raise OutputError(f"{file}: the folder {file.parent} does not exist; create it or choose another path")
    with Bar(quiet=quiet) as bar:
        test = BlindTest(videos, file, moments=moments, span=options.span, progress=bar)
    if test.waiting() is not None:
        serve_blind(test, port, lambda address: typer.echo(f"vidsr: open {address} (Ctrl-C ends it)", err=True))
    typer.echo(json.dumps(test.to_json()) if as_json else preference_table(test, file))


def preference_table(test: BlindTest, votes: Path) -> str:
    """What the votes say as a table for the terminal, the most preferred first."""
    rows = sorted(zip(test.names, test.found(), strict=True), key=lambda row: -row[1].share)
    width = max(len(name) for name, _ in rows)
    lines = [f"{'':<{width}}  preferred  95 % confidence  votes"]
    for name, found in rows:
        interval = f"{found.low:.0%} to {found.high:.0%}"
        lines.append(f"{name:<{width}}  {found.share:>9.0%}  {interval:>15}  {found.votes:>5}")
    return "\n".join([*lines, f"{test.voted} of {len(test.trials)} votes, kept in {votes}"])


def _invention(
    videos: list[Path],
    target: Path,
    options: EnhanceOptions,
    device: str,
    *,
    overwrite: bool,
    quiet: bool,
) -> _Shown:
    """Measure a result against its source and write its map."""
    if len(videos) != 2:
        raise OptionsError("--invention takes a source and one result made from it")
    _check_target(target, videos, overwrite)
    from vidsr.cli.progress import Bar
    from vidsr.jobs.compare.invention import check_map, figures_of, map_invention
    from vidsr.jobs.invention.sampling import FrameSampling

    check_map(target)
    with Bar(quiet=quiet) as bar:
        tally = map_invention(videos[0], videos[1], target, device=device, span=options.span, progress=bar)
    film = tally.film()
    text = (
        f"{film['supported_percent']:.1f} % of the picture is supported by {videos[0]}, "
        f"{film['invented_percent']:.1f} % is invented; {film['within_4_percent']:.1f} % is expected to lie within "
        "4 code values of the original"
    )
    figures = figures_of(tally, FrameSampling.every_frame(), videos[0], videos[1])
    return _Shown(figures, f"{text}\n{target}")


def _compared(
    videos: list[Path], settings: CompareSettings, progress: Progress, invention: dict[str, Any] | None = None
) -> _Shown:
    """``invention`` are the figures of the only other video, where they were measured just now."""
    from vidsr.jobs.compare.compare import compare as run
    from vidsr.jobs.compare.invention_report import shown_invention
    from vidsr.quality.comparison_page import page

    result = run(videos[0], videos[1:], settings, progress)
    figures = result.to_json()

    def written() -> str:
        inventions = [
            shown_invention(
                other.party.path,
                result.reference.path,
                other.measured.worst,
                invention,
                clock="source",
                device=settings.device,
                span=settings.span,
            )
            for other in result.others
        ]
        return page(figures, [other.measured.worst for other in result.others], inventions=inventions)

    return _Shown(figures, table(result), result.to_csv(), written)


def _assessed(videos: list[Path], source: Path | None, settings: CompareSettings, progress: Progress) -> _Shown:
    from vidsr.jobs.compare.assess import assess
    from vidsr.jobs.compare.invention_report import shown_invention
    from vidsr.quality.comparison_page import page
    from vidsr.quality.no_reference.assessment import ASSESSED

    result = assess(videos, source, settings, progress)
    figures = result.to_json()

    def written() -> str:
        inventions = [
            shown_invention(
                video.party.path,
                source,
                video.measured.worst,
                clock="result",
                device=settings.device,
                span=settings.span,
            )
            for video in result.videos
        ]
        return page(figures, [video.measured.worst for video in result.videos], ASSESSED, inventions)

    return _Shown(figures, assessment_table(result), result.to_csv(), written)


def table(result: CompareResult) -> str:
    """The means as a table for the terminal."""
    from vidsr.quality.comparison import MEASURES

    rows = [(str(other.party.path), other.measured.means()) for other in result.others]
    lines = _table(rows, MEASURES)
    for other in result.others:
        lines.append(f"{other.party.path}: {len(other.measured.seconds)} frames compared with {result.reference.path}")
        lines += [f"  {note}" for note in other.notes]
    return "\n".join(lines)


def assessment_table(result: AssessResult) -> str:
    """The means of videos without a reference as a table for the terminal; the best looking first, where ranked."""
    from vidsr.quality.no_reference.assessment import ASSESSED

    rankings = result.ranked_by()
    columns = ASSESSED | {name: (name, False, 2) for name in rankings}
    videos = sorted(result.videos, key=lambda video: next((video.ranks[name] for name in rankings), 0.0))
    lines = _table([(str(video.party.path), video.measured.means() | video.ranks) for video in videos], columns)
    lines += [f"{name}: the mean of the places by {', '.join(used)}" for name, used in rankings.items()]
    for video in videos:
        against = "" if result.source is None else f" with {result.source.path} as source"
        lines.append(f"{video.party.path}: {len(video.measured.seconds)} frames measured{against}")
        lines += [f"  {note}" for note in video.measured.notes]
    return "\n".join(lines)


def _table(rows: list[tuple[str, dict[str, float]]], measures: dict[str, tuple[str, bool, int]]) -> list[str]:
    """Lines with one column for each measure that any row has."""
    names = [name for name in measures if any(name in mean for _, mean in rows)]
    width = max([len("(higher is better)"), *(len(name) for name, _ in rows)])
    wide = max(14, *(len(name) + 2 for name in names)) if names else 14
    lines = [" " * width + "".join(f"{name:>{wide}}" for name in names)]
    lines.append(" " * width + "".join(f"{'higher' if measures[n][1] else 'lower':>{wide}}" for n in names))
    for title, mean in rows:
        cells = [f"{mean[n]:>{wide}.{measures[n][2]}f}" if n in mean else f"{'-':>{wide}}" for n in names]
        lines.append(f"{title:<{width}}" + "".join(cells))
    return lines


def _check_target(path: Path | None, sources: list[Path], overwrite: bool) -> None:
    if path is None:
        return
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist; create it or choose another path")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise OutputError(f"{path} is one of the input videos; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} already exists; use --overwrite to replace it")
