"""What a run measures its averaged weights on: pictures, clips, or both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidsr.training.clip_validation import ClipValidation
from vidsr.training.options import TrainOptions
from vidsr.training.unrolled import Unrolled
from vidsr.training.validation import Validation


class Measures:
    """The pictures of ``[validation] folder`` and the clips of ``[validation] clips``.

    Raises:
        TrainingError, InputError, ModelError: as :class:`Validation` and :class:`ClipValidation`.
    """

    def __init__(self, options: TrainOptions) -> None:
        scale = options.generator.scale
        self._pictures = Validation(options.validation, scale)
        self._clips = ClipValidation(options.validation, options.degradation, scale, options.run.seed)

    def __bool__(self) -> bool:
        return bool(self._pictures.examples or self._clips.examples)

    @property
    def notes(self) -> list[str]:
        """What cannot be measured here."""
        return self._clips.notes

    def dry_run(self, network: nn.Module) -> None:
        """Measure the largest picture once, so that a lack of memory shows before training.

        Raises:
            TrainingError: it does not fit into memory.
        """
        self._pictures.dry_run(network)

    def run(self, network: nn.Module) -> tuple[dict[str, float], list[tuple[str, Tensor]]]:
        """Mean scores, and a few results ``[3, H, W]`` in 0..1. Where there are both, those of pictures are
        ``still_…``."""
        scores, shown = self._pictures.run(network)
        if not self._clips.examples:
            return scores, shown
        device, unrolled = next(network.parameters()).device, Unrolled(network)

        def enlarge(clip: Tensor) -> Tensor:
            results: Tensor = unrolled(clip[None].to(device))[0][0]
            return results

        training = network.training
        network.eval()
        try:
            with torch.no_grad():
                found, clips = self._clips.run(enlarge)
        finally:
            network.train(training)
        return {f"still_{name}": value for name, value in scores.items()} | found, shown + clips
