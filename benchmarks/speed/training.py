"""How fast training goes, and where its time goes: steps/s and the share of each phase.

    python -m benchmarks.speed.training --steps 6                                  # CPU: on-the-fly degradations
    python -m benchmarks.speed.training --steps 40 --batch 16 --precision bf16     # a CUDA GPU

The dataset is made of noise and edges on the spot. Degradations are the second-order recipe with codecs, tape and
film all on, drawn afresh for every patch. On CUDA the step's arithmetic is compared with the rate of plain bf16 matrix
products measured on the same device.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidsr.options.schema import from_data
from vidsr.training.dataset.patch_store import PatchWriter
from vidsr.training.options import TrainOptions
from vidsr.training.trainer import Trainer

WARM_UP = 2


def make_noise_dataset(folder: Path, side: int) -> None:
    """64 patches of coloured edges and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / 24
    with PatchWriter(folder, side) as writer:
        for _ in range(64):
            a, b = rng.uniform(1, 6, 2)
            base = 128 + 60 * np.sign(np.sin(a * x + b * y))[..., None] + rng.normal(0, 20, (side, side, 3))
            writer.add(base.clip(0, 255).astype(np.uint8))


def options_for(arguments: argparse.Namespace, folder: Path) -> TrainOptions:
    """A run of one stage that is never validated."""
    steps, gan = arguments.steps + WARM_UP, arguments.stage == "gan"
    never = 1_000_000
    return from_data(
        {
            "run": {
                "folder": str(folder / "run"),
                "precision": arguments.precision,
                "compile": arguments.compile,
                "log_every": never,
                "checkpoint_every": never,
                "validate_every": never,
                "tensorboard": False,
            },
            "data": {"dataset": str(folder / "data"), "batch": arguments.batch, "workers": arguments.workers},
            "degradation": {
                "recipe": "second_order",
                "codec": {"chance": 0.4},
                "tape": {"bleed_chance": 0.3, "noise_chance": 0.4, "interlace_chance": 0.1, "jitter_chance": 0.2},
                "film": {"dust_chance": 0.3, "scratch_chance": 0.15, "grain_chance": 0.5},
            },
            "generator": {"num_block": arguments.blocks},
            "psnr": {"steps": 0 if gan else steps},
            "gan": {"steps": steps if gan else 0, "perceptual_weight": 0.0, "milestones": []},
        },
        TrainOptions,
    )


class Timed(Trainer):
    """A trainer that forgets the times of its first steps."""

    begin = 0.0

    def _log(self, values: dict[str, float]) -> None:
        """Nothing is logged."""

    def _to_device(self, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if self.step == WARM_UP and not self.begin:
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self.journal.seconds = dict.fromkeys(self.journal.seconds, 0.0)
            self.begin = time.perf_counter()
        return super()._to_device(batch)

    def save(self) -> None:
        """Nothing is saved; the clock stops here."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.end = time.perf_counter()


def matrix_rate(device: torch.device, size: int = 8192) -> float:
    """bf16 operations per second of plain matrix products."""
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
    return 20 * 2 * size**3 / (time.perf_counter() - begin)


def step_operations(trainer: Trainer, batch: int, patch: int) -> float:
    """Operations of one psnr step: the forward pass counted, the backward pass being twice that."""
    low = torch.zeros(batch, 3, patch // 4, patch // 4, device=trainer.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        trainer.generator(low)
    return 3.0 * counter.get_total_flops()


def main() -> None:
    """Train a few steps and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=23)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stage", choices=("psnr", "gan"), default="psnr")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_noise_dataset(folder / "data", 192)
        trainer = Timed(options_for(arguments, folder))
        trainer.run()
    wall = trainer.end - trainer.begin
    shares = {k: v / wall for k, v in trainer.journal.seconds.items() if v}
    device = torch.cuda.get_device_name() if trainer.device.type == "cuda" else f"{os.cpu_count()} CPU cores"
    print(f"{platform.machine()}, {device}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    print(
        f"stage {arguments.stage}, {arguments.blocks} blocks, batch {arguments.batch}, patch 128, {arguments.precision}"
    )
    print(f"{arguments.steps / wall:.3f} steps/s, {arguments.steps * arguments.batch / wall:.2f} patches/s")
    print("share of the time: " + ", ".join(f"{k} {v:.1%}" for k, v in shares.items()))
    print(f"in the networks: {shares['generator'] + shares.get('discriminator', 0):.1%}")
    if trainer.device.type == "cuda" and arguments.stage == "psnr":
        rate = step_operations(trainer, arguments.batch, 128) * arguments.steps / wall
        peak = matrix_rate(trainer.device)
        print(f"{rate / 1e12:.1f} of {peak / 1e12:.1f} Tflop/s of bf16 matrix products: {rate / peak:.1%}")


if __name__ == "__main__":
    main()
