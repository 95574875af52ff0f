"""Output of a training run: a progress bar, a log with one JSON object per line, and TensorBoard with pictures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from vidsr.storage import output_errors

PHASES = ("data", "generator", "discriminator", "validation", "checkpoint")
_SHORT = {"data": "data", "generator": "G", "discriminator": "D"}


class RunLog:
    """Only the first process of a run writes; in the others every method does nothing.

    ``seconds`` adds up the wall-clock time of each phase of :data:`PHASES` over the whole run, resumed parts included.
    """

    def __init__(self, folder: Path, device: torch.device, *, leader: bool, tensorboard: bool) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._device = device
        self._shown = (0, dict(self.seconds))  # steps and seconds when the bar's speeds were last worked out
        self._steps = 0
        self._speed: dict[str, str] = {}
        self._leader = leader
        self._log = folder / "log.jsonl"
        self._writer = _tensorboard(folder / "tensorboard") if leader and tensorboard else None
        self._bar: Any = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of this block towards a phase."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            if (
                self._device.type == "cuda"
            ):  # wait for queued work, so that it counts towards this phase and not the next
                torch.cuda.synchronize(self._device)
            self.seconds[name] += time.perf_counter() - begin

    def begin(self, stage: str, step: int, steps: int) -> None:
        """Start the bar of a stage."""
        self.close_bar()
        pace = 0.5 if sys.stderr.isatty() else 30.0  # a log file gets an occasional line, not one per step
        self._bar = tqdm(
            total=steps,
            initial=step,
            desc=stage,
            unit="step",
            dynamic_ncols=True,
            mininterval=pace,
            maxinterval=2 * pace,
            disable=not self._leader,
        )

    def step(self) -> None:
        """Count one finished step."""
        self._steps += 1
        self._bar.update()

    def say(self, text: str) -> None:
        """One line for the user, above the bar."""
        if self._leader:
            tqdm.write(f"vidsr: {text}", file=sys.stderr)

    def values(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Values of a step: into the log, TensorBoard and the bar."""
        if not self._leader:
            return
        record = {"stage": stage, "step": step, **values, "cpu_seconds": time.process_time()}
        with output_errors(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._bar is not None:
            shown = {k: f"{v:.4g}" for k, v in values.items() if not k.startswith("seconds_")}
            self._bar.set_postfix({**shown, **self._speeds()}, refresh=False)
        for name, value in values.items():
            if self._writer:
                self._writer.add_scalar(f"{stage}/{name}", value, step)

    def _speeds(self) -> dict[str, str]:
        """Milliseconds per step in each phase, since the last call."""
        steps, before = self._shown
        if self._steps > steps:
            spent = {k: (self.seconds[k] - before[k]) / (self._steps - steps) for k in _SHORT}
            self._speed = {_SHORT[k]: f"{v * 1e3:.3g}ms" for k, v in spent.items() if v}
            self._shown = (self._steps, dict(self.seconds))
        return self._speed

    def pictures(self, stage: str, step: int, pictures: list[tuple[str, Tensor]]) -> None:
        """Results ``[3, H, W]`` in 0..1, for TensorBoard."""
        for name, picture in pictures:
            if self._writer:
                self._writer.add_image(f"{stage}/{name}", picture, step)

    def close_bar(self) -> None:
        """End the bar of the stage."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def close(self) -> None:
        """End the bar and TensorBoard's files."""
        self.close_bar()
        if self._writer:
            self._writer.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
