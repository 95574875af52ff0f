"""``vidsr bench``: the machine's peak rates, and how much of them vidsr reaches."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidsr.cli.flags import with_options
from vidsr.cli.help import Command
from vidsr.errors import VidsrError
from vidsr.options.command_options import BenchOptions
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions

if TYPE_CHECKING:
    from vidsr.inference.bench import Ceilings, Row

EXAMPLES = """
Examples:

  vidsr bench
  vidsr bench --model realesr-animevideov3 --size 640x360 --size 1280x720
  vidsr bench --backend winograd --backend openvino --precision fp32
  vidsr bench clip.mp4 --json > bench.json

The share is relative to this machine's measured matrix-product rate. Winograd kernels need fewer multiplications and
can exceed 100 %.
"""

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: One model of each size, measured if none is named.
_MODELS = ("realesr-animevideov3", "realesrgan-x4plus-anime-6B", "realesrgan-x4plus")


@app.command(cls=Command, epilog=EXAMPLES)
@with_options(BenchOptions)
def bench(
    clip: Annotated[
        Path | None,
        typer.Argument(
            metavar="CLIP", help="A video to enhance end to end as well (its first frames).", show_default=False
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="OUT.svg", help="Also draw the table as an SVG chart.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    options: BenchOptions,
) -> None:
    """Measure this machine's peak rates, then each model alone and, given CLIP, the whole pipeline."""
    from vidsr.inference.bench import as_json as plain
    from vidsr.inference.bench import ceilings
    from vidsr.inference.device import choose_device

    limits = ceilings(choose_device(options.device))
    if not as_json:
        typer.echo(_machine(limits))
        typer.echo(_HEADER)
    rows = []
    names = options.model or _MODELS
    for one, size, how, engine in product(
        names, options.sizes(), options.precision or ["auto"], options.backend or ["auto"]
    ):
        network = ModelOptions(model=one, device=options.device, precision=how, backend=engine)
        row = _measured(network, size, limits, options.seconds)
        if row is not None:
            rows.append(row)
            if not as_json:
                typer.echo(_line(row))
    whole = [_end_to_end(clip, one, options.device, options.frames) for one in names] if clip is not None else []
    if as_json:
        typer.echo(json.dumps({**plain(limits, rows), "end_to_end": whole}))
    for line in [] if as_json else whole:
        typer.echo(f"end to end, {line['model']}: {line['frames_per_second']:.2f} frames/s ({line['timing']})")
    if picture is not None:
        picture.write_text(_svg(_machine(limits), rows))


_HEADER = (
    f"{'model':28s} {'size':>10s} {'backend':>9s} {'prec.':>5s} {'fps':>8s} {'ms':>9s} "
    f"{'TFLOP/s':>8s} {'share':>6s} {'peak MiB':>9s}"
)


def _line(row: Row) -> str:
    return (
        f"{row.model:28s} {row.size:>10s} {row.backend:>9s} {row.precision:>5s} {row.frames_per_second:8.2f} "
        f"{row.milliseconds:9.1f} {row.tflops:8.3f} {row.share:6.0%} {row.peak_mib:9.0f}"
    )


def _machine(limits: Ceilings) -> str:
    rates = ", ".join(f"{name} {rate:.3g}" for name, rate in limits.matmul_tflops.items())
    return (
        f"{limits.device}, {limits.threads} threads: matrix product {rates} TFLOP/s, "
        f"copy {limits.copy_gb_per_second:.3g} GB/s"
    )


def _measured(options: ModelOptions, size: tuple[int, int], limits: Ceilings, seconds: float) -> Row | None:
    """A row, or None and a line on stderr where this combination cannot run here."""
    from vidsr.inference.bench import measure

    options.check()
    try:
        return measure(options, size, limits, seconds)
    except VidsrError as error:
        typer.echo(f"vidsr: {options.model}, {options.backend}, {options.precision}: {error}", err=True)
        return None


def _end_to_end(clip: Path, model: str, device: str, frames: int) -> dict[str, Any]:
    """Decode, enhance and encode the first frames of a clip; start-up is not counted."""
    from vidsr.jobs.preview.sample import Sampler

    sampler = Sampler(clip, EnhanceOptions.from_flat({"model": model, "device": device}))
    sampler.sample(0, 1)
    stats = sampler.sample(0, min(frames, len(sampler.index))).stats
    timing = {
        "decode": stats.decode_seconds,
        "wait for decoder": stats.infer_wait_input_seconds,
        "infer": stats.infer_seconds,
        "wait for encoder": stats.infer_wait_output_seconds,
        "encode": stats.encode_seconds,
    }
    return {
        "model": model,
        "frames": stats.frames,
        "frames_per_second": stats.frames / stats.wall_seconds,
        "timing": ", ".join(f"{name} {value:.1f} s" for name, value in timing.items()),
    }


def _svg(title: str, rows: list[Row]) -> str:
    """The rows as horizontal bars of TFLOP/s, each with its frames per second."""
    most = max((row.tflops for row in rows), default=1.0)
    parts = [f'<text x="10" y="24" font-weight="bold">{title}</text>']
    for number, row in enumerate(rows):
        y = 44 + 26 * number
        label = f"{row.model} {row.size} {row.backend} {row.precision}"
        width = max(2.0, 420 * row.tflops / most)
        parts.append(f'<text x="10" y="{y + 14}">{label}</text>')
        parts.append(f'<rect x="390" y="{y}" width="{width:.1f}" height="18" fill="#3b7dd8"/>')
        what = f"{row.frames_per_second:.2f} fps, {row.tflops:.3g} TFLOP/s, {row.share:.0%}"
        parts.append(f'<text x="{396 + width:.1f}" y="{y + 14}">{what}</text>')
    height = 56 + 26 * len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1060" height="{height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
