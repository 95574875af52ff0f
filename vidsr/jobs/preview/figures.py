"""What the measures without an original say of a moment: figures under the pictures of a preview sheet."""

from __future__ import annotations

import torch
from torch import Tensor

from vidsr.frames import Array
from vidsr.inference.resize import resize
from vidsr.jobs.preview.preview import Moment
from vidsr.quality.no_reference.assessment import of_picture


@torch.inference_mode()
def moment_figures(moment: Moment) -> dict[str, float]:
    """NIQE, sharpness over the source's and the rest that a single picture shows; what its size allows."""
    before, after = _tensor(moment.before), _tensor(moment.after)
    rows, columns = after.shape[-2:]
    enlarged = resize(before, (rows, columns)).clamp(0, 1)
    return of_picture(after, before, enlarged, (rows / before.shape[-2] + columns / before.shape[-1]) / 2)


def figures_line(figures: dict[str, float]) -> str:
    """The figures that a sheet has room for."""
    shown = {"niqe": "NIQE {:.2f}", "sharpness_gained": "sharpness x{:.2f}", "consistency": "source kept {:.1f} dB"}
    return " · ".join(text.format(figures[name]) for name, text in shown.items() if name in figures)


def _tensor(picture: Array) -> Tensor:
    return torch.tensor(picture).permute(2, 0, 1)[None].float() / 255
