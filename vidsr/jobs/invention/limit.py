"""``--invent``: a result held to what its source supports, the more the less of it is supported.

The result of a faithful network, which was trained for small errors and draws no texture, counts as supported. A pixel
keeps ``share ** (expected error / INVENTED)`` of its departure from it: at the error from which a pixel counts as
invented that is the share itself, where the source supports the result nearly all of it, and of a strong invention
less. The limit of one picture depends on that picture alone, so that it is the same in whatever segment, order or
process a frame is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.models.zoo import FAITHFUL_MODEL
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.invention.error_model import shipped_model
from vidsr.quality.invention.evidence import evidence
from vidsr.quality.invention.tally import INVENTED


@dataclass(frozen=True, slots=True, kw_only=True)
class InventionLimit:
    """``share``: of a departure at the bound of "invented", how much stays; 0 (none of any) to 1 (all)."""

    share: float

    @property
    def model(self) -> str:
        """Name of the network whose results count as supported."""
        return FAITHFUL_MODEL

    @property
    def is_total(self) -> bool:
        """Whether nothing but the supported result is left."""
        return self.share == 0

    def __call__(self, source: Tensor, out: Tensor, supported: Tensor) -> Tensor:
        """The limited result ``[N, 3, H, W]``.

        Args:
            source: the picture that was enlarged, ``[N, 3, h, w]``, RGB in 0..1.
            out: the network's result, ``[N, 3, H, W]``, not clamped.
            supported: that of the network :attr:`model`, of the same size.
        """
        return torch.lerp(supported, out, self.kept(source, out, supported))

    def kept(self, source: Tensor, out: Tensor, supported: Tensor) -> Tensor:
        """How much of its departure from the supported result each pixel keeps, 0 to 1, ``[N, 1, H, W]``."""
        size = (out.shape[-2], out.shape[-1])
        known = evidence(out.clamp(0, 1), source, supported.clamp(0, 1), None)
        expected = shipped_model().expected(known, size)
        return torch.pow(self.share, expected / INVENTED)


def limit_of(options: RestoreOptions) -> InventionLimit | None:
    """The limit that the options ask for; None where the network's result stays as it is."""
    return None if options.invent == 1 else InventionLimit(share=options.invent)
