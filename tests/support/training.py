"""Pictures to train on, and training runs in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.support import processes
from tests.support.places import child_environment
from tests.support.web import free_port
from vidsr.options.toml import to_toml
from vidsr.training import checkpoints
from vidsr.training.dataset.clips.clip_store import ClipWriter
from vidsr.training.options import TrainOptions
from vidsr.training.trainer import start

#: A launcher for two processes on this machine.
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def textured(seed: int, height: int = 48, width: int = 48) -> np.ndarray:
    """A picture with edges and texture, [H, W, 3] uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 24
    a, b, c = rng.uniform(1, 6, 3)
    base = 0.5 + 0.25 * np.sin(a * x + b * y) + 0.15 * np.sign(np.sin(c * y - a * x))
    colours = np.stack([base, np.roll(base, 3, 0), np.roll(base, 5, 1)], -1) + rng.normal(0, 0.03, (height, width, 3))
    return (colours.clip(0, 1) * 255).round().astype(np.uint8)


def moving(seed: int, frames: int, side: int, step: tuple[int, int] = (1, 2)) -> np.ndarray:
    """A clip [T, side, side, 3] uint8 of a textured picture that moves up and left by ``step`` px a frame."""
    down, across = step
    wide = textured(seed, side + abs(down) * frames, side + abs(across) * frames)
    return np.stack([wide[t * down : t * down + side, t * across : t * across + side] for t in range(frames)])


def write_clips(folder: Path, count: int, frames: int, side: int) -> Path:
    """A dataset of ``count`` clips of ``frames`` frames of ``side`` px; returns its folder."""
    with ClipWriter(folder, frames, side) as writer:
        for seed in range(count):
            writer.write(f"clip-{seed}", moving(seed, frames, side))
            writer.add(f"clip-{seed}")
    return folder


def train_arguments(options: TrainOptions, folder: Path, word: str) -> list[str]:
    """Arguments of ``vidsr``: ``train run`` or ``resume`` (``word``), with options written into ``folder``."""
    file = folder / "options.toml"
    file.write_text(to_toml(options))
    return ["train", word, str(file)]


def train_command(options: TrainOptions, folder: Path, word: str, *before: str) -> list[str]:
    """The whole command for :func:`train_arguments`; ``before`` is a launcher."""
    return [sys.executable, *before, "-m", "vidsr", *train_arguments(options, folder, word)]


# PyTorch takes seconds to import: once here, for all the children that are forked.
_KILLS = """
import os, signal, sys, time
from pathlib import Path
import torch._dynamo  # an optimiser's first step imports it
from vidsr.cli.main import run
from vidsr.training import checkpoints, trainer

options, folder, *signs = sys.argv[1:]
for number, sign in enumerate([*signs, ""]):
    child = os.fork()
    if not child:
        os._exit(run(["train", "resume" if number else "run", options]))
    while sign and not Path(folder, sign).exists():
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.exit(f"it ended before {sign} was there")
        time.sleep(0.002)
    if sign:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, checkpoints.listing(Path(folder))[-1].name, flush=True)
"""


def train_with_kills(options: TrainOptions, folder: Path, checkpoints: Path, *signs: str) -> list[list[str]]:
    """``train run``, then ``train resume`` until the end; SIGKILL as soon as each checkpoint of ``signs`` is there.

    Returns:
        [exit code, newest checkpoint] after each of these processes.
    """
    file = train_arguments(options, folder, "run")[-1]
    command = [sys.executable, "-c", _KILLS, file, checkpoints, *signs]
    done = processes.run(command, env=child_environment(), check=True, capture_output=True, text=True)
    return [line.split() for line in done.stdout.splitlines() if line.startswith(("-", "0 ", "1 "))]


_RANKS = """
import gc, os, sys
import torch._dynamo  # an optimiser's first step imports it
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
import vidsr.cli.main, vidsr.training.trainer

code, port = sys.argv.pop(1), sys.argv.pop(1)
destroy = distributed.destroy_process_group


def destroy_last():
    # A wrapper that outlives its group ends it while it holds Python's lock, which gloo's threads may wait for.
    if any(isinstance(thing, DistributedDataParallel) for thing in gc.get_objects()):
        print("a wrapped network outlives the process group", file=sys.stderr, flush=True)
        os._exit(3)
    destroy()


distributed.destroy_process_group = destroy_last
children = []
for rank in range(2):
    children.append(os.fork())
    if not children[-1]:
        os.environ |= dict(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port
        )
        exec(code)
        os._exit(0)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(f"exit codes {codes}" if any(codes) else 0)
"""


def run_in_two_processes(code: str, *arguments: object) -> None:
    """Run ``code`` in two processes of one training run; their environment is the one that torchrun gives."""
    command = [sys.executable, "-c", _RANKS, code, free_port(), *arguments]
    processes.run(command, env=child_environment(), check=True, capture_output=True)


def assert_two_processes_equal_one(
    options: Callable[..., TrainOptions],
    folder: Path,
    stage: str,
    tolerance: float,
    incomparable: frozenset[str] | set[str] = frozenset(),
) -> None:
    """Three steps of ``stage`` in two processes with batches of 2 lead to the weights of one process with batches of 4.

    ``incomparable`` names tensors that are left out.
    """
    steps = {"psnr": {"steps": 3 if stage == "psnr" else 0}, "gan": {"steps": 3 if stage == "gan" else 0}}
    one = options(run={"folder": str(folder / "one")}, data={"batch": 4}, **steps)
    two = options(run={"folder": str(folder / "two")}, data={"batch": 2}, **steps)
    start(one, resume=False)
    run_in_two_processes(
        "import os, sys; os._exit(vidsr.cli.main.run(sys.argv[1:]))", *train_arguments(two, folder, "run")
    )
    a, b = (checkpoints.read(folder / f / "checkpoints" / f"{stage}-00000003") for f in ("one", "two"))
    for group in a.tensors:
        if not group.startswith("optimiser"):
            for key in a.tensors[group].keys() - incomparable:
                tensor = a.tensors[group][key]
                assert torch.allclose(tensor, b.tensors[group][key], rtol=0, atol=tolerance), f"{group} {key}"
