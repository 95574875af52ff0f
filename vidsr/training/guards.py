"""Guards of a run: losses that are not finite, colours that drift, a discriminator that wins outright."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, distributed

from vidsr.errors import TrainingError
from vidsr.training.distributed import joined

DRIFT_LIMIT = 0.04
"""Mean difference of a colour between result and target, in 0..1, at which a warning is raised."""
WIN_LIMIT = 0.02
"""The discriminator's loss below which it has practically won."""
MEMORY = 0.98
WARM_UP = 200
"""Steps before colours may raise a warning: an untrained network has none yet."""


@dataclass(slots=True, kw_only=True)
class Guards:
    """Counts and running means; saved in checkpoints, so that a resumed run warns exactly like an uninterrupted one."""

    skip_limit: int
    skipped: int = 0
    skipped_in_a_row: int = 0
    drift: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    discriminator_loss: float = 1.0
    seen: int = 0
    raised: list[str] = field(default_factory=list)

    def accept(self, *values: Tensor) -> bool:
        """Whether a step may be taken: all losses and gradient lengths are finite, in every process.

        Raises:
            TrainingError: too many steps in a row were skipped.
        """
        fine = torch.stack([v.detach().float() for v in values]).isfinite().all().float()
        if joined():
            distributed.all_reduce(fine, distributed.ReduceOp.MIN)
        if bool(fine):
            self.skipped_in_a_row = 0
            return True
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= self.skip_limit:
            raise TrainingError(
                f"the loss was not a finite number in {self.skipped_in_a_row} steps in a row; "
                "the last good checkpoint is kept: "
                'lower learning_rate, set clip, or use precision = "fp32" or "bf16", then resume'
            )
        return False

    def watch(self, result: Tensor, target: Tensor, discriminator_loss: Tensor | None) -> Iterator[str]:
        """Record one step; one sentence per warning that this step raises for the first time."""
        difference = (result.detach().float() - target.float()).mean((0, 2, 3)).tolist()
        self.drift = [MEMORY * old + (1 - MEMORY) * new for old, new in zip(self.drift, difference, strict=True)]
        self.seen += 1
        worst = max(range(3), key=lambda i: abs(self.drift[i]))
        yield from self._alarm(
            "drift",
            self.seen > WARM_UP and abs(self.drift[worst]) > DRIFT_LIMIT,
            f"colours drift: {('red', 'green', 'blue')[worst]} is off by {self.drift[worst]:+.3f} on average; "
            "raise pixel_weight or lower learning_rate",
        )
        if discriminator_loss is not None:
            self.discriminator_loss += (1 - MEMORY) * (float(discriminator_loss) - self.discriminator_loss)
            yield from self._alarm(
                "win",
                self.discriminator_loss < WIN_LIMIT,
                f"the discriminator wins outright (its mean loss is {self.discriminator_loss:.4f}): the generator "
                "learns nothing from it; lower its learning rate or gan_weight",
            )

    def _alarm(self, name: str, now: bool, text: str) -> Iterator[str]:
        if now and name not in self.raised:
            self.raised.append(name)
            yield text
        elif not now and name in self.raised:
            self.raised.remove(name)

    def to_json(self) -> dict[str, object]:
        """Plain values for a checkpoint."""
        return asdict(self)
