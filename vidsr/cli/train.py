"""``vidsr train``: options, running, resuming, and the finished model."""

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

  vidsr train init --preset tiny --dataset my-data train.toml
  vidsr train run train.toml
  vidsr train export runs/train mine.safetensors
"""

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Train your own model: stage psnr (L1), then stage gan (with a discriminator).",
    epilog=_EXAMPLES,
)

_INIT_EXAMPLES = """
Examples:

  vidsr train init --preset tiny --dataset my-data train.toml
  vidsr train init --preset esrgan --dataset my-data --validation Set5/ --folder runs/a train.toml

Presets for pictures: esrgan and realesrgan as published, archival (codecs, tape, film), tiny (two CPU cores, an hour).

Presets for clips: recurrent (a fast network that takes its last result), real-video (the same against codecs, tape and
film, with a discriminator that sees time), faithful (invents nothing), distil (learns from a large model, without
originals).
"""

_RUN_EXAMPLES = """
Examples:

  vidsr train run train.toml
  torchrun --nproc-per-node 4 -m vidsr train run train.toml
"""

_RESUME_EXAMPLES = """
Examples:

  vidsr train resume train.toml
  torchrun --nproc-per-node 4 -m vidsr train resume train.toml
"""

_EXPORT_EXAMPLES = """
Examples:

  vidsr train export runs/train mine.safetensors
  vidsr train export runs/train mine-psnr.safetensors --stage psnr --which best
  vidsr enhance clip.mp4 --model mine.safetensors
"""

Toml = Annotated[Path, typer.Argument(metavar="OPTIONS.toml", help="Options file, as written by `vidsr train init`.")]


@app.command(short_help="Write an options file.", cls=Command, epilog=_INIT_EXAMPLES)
def init(
    target: Annotated[Path, typer.Argument(metavar="OPTIONS.toml", help="The file to write.")] = Path("train.toml"),
    preset: Annotated[str, typer.Option(metavar="NAME", help="Preset to start from; see below.")] = "esrgan",
    dataset: Annotated[str, typer.Option(metavar="FOLDER", help="Folder made by `vidsr dataset make`.")] = "",
    validation: Annotated[
        str, typer.Option(metavar="FOLDER", help="Folder of pictures, or dataset of clips, for validation.")
    ] = "",
    folder: Annotated[str, typer.Option(metavar="FOLDER", help="Folder for checkpoints and logs.")] = "runs/train",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write an options file, with every field explained, to edit before training."""
    from vidsr.options.toml import to_toml
    from vidsr.storage import AtomicFile
    from vidsr.training.dataset.clips.clip_store import holds_clips
    from vidsr.training.run_presets import preset_options

    options = preset_options(preset)
    of_clips = holds_clips(Path(validation).expanduser())
    measures = replace(options.validation, clips=validation if of_clips else "", folder="" if of_clips else validation)
    options = replace(
        options,
        run=replace(options.run, folder=folder),
        data=replace(options.data, dataset=dataset),
        validation=measures,
    )
    if target.exists() and not overwrite:
        raise OutputError(f"{target} already exists; use --overwrite to replace it")
    with AtomicFile(target) as file:
        file.write(to_toml(options).encode())
    print(target)
    if options.gan.steps and options.gan.perceptual_weight:
        _warn_missing(options.gan.vgg, "perceptual_weight", "gan")
    for name, stage in (("psnr", options.psnr), ("gan", options.gan)):
        if stage.steps and (stage.lpips_weight or stage.dists_weight):
            _warn_missing("lpips-vgg16", "lpips_weight" if stage.lpips_weight else "dists_weight", name)


def _warn_missing(vgg: str, weight: str, stage: str) -> None:
    """Warn early that the network of a loss must be fetched: training would not start without it."""
    from vidsr.models import zoo

    entry = zoo.find(vgg)
    if entry is not None and zoo.locate(entry) is None:
        print(
            f"vidsr: stage {stage} needs {vgg}. Run vidsr models fetch {vgg}, or set {weight} = 0 in [{stage}]",
            file=sys.stderr,
        )


@app.command(short_help="Train from scratch.", cls=Command, epilog=_RUN_EXAMPLES)
def run(options: Toml) -> None:
    """Train from scratch: both stages, with validation and checkpoints as set in the options."""
    _train(options, resume=False)


@app.command(short_help="Continue from the newest checkpoint.", cls=Command, epilog=_RESUME_EXAMPLES)
def resume(options: Toml) -> None:
    """Continue from the newest intact checkpoint; the result equals that of an uninterrupted run."""
    _train(options, resume=True)


def _train(path: Path, *, resume: bool) -> None:
    from vidsr.options.toml import read_toml
    from vidsr.training.options import TrainOptions
    from vidsr.training.trainer import start

    print(json.dumps(start(read_toml(path, TrainOptions), resume=resume), indent=2))


@app.command(short_help="Write the trained model.", cls=Command, epilog=_EXPORT_EXAMPLES)
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The model to write.")],
    which: Annotated[
        str, typer.Option(metavar="WHICH", help="latest, best, or a checkpoint such as psnr-00005000.")
    ] = "latest",
    stage: Annotated[str | None, typer.Option(metavar="psnr|gan", help="Default: the newest stage.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write the averaged weights of a run, with a model card that records how they were trained."""
    from vidsr.training import export_run as exporting

    exporting.export(run, target, which=which, stage=stage, overwrite=overwrite)
    print(target)
