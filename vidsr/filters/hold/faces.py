"""Finds faces in a picture with YuNet: boxes, landmarks, scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.models import yunet

#: Scores from which a face counts, and that which is enough where one is expected.
SURE, LIKELY = 0.6, 0.35
#: Of two boxes that overlap by more than this share of their union, the better one is kept.
_OVERLAP = 0.3
#: Pictures of at most this many pixels are enlarged by two first: YuNet finds few faces below ten pixels.
_SMALL_PX = 640 * 480


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A place of a picture: its edges in pixels from the left and top, which may lie outside of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Rows."""
        return self.bottom - self.top

    def overlap(self, other: FaceBox) -> float:
        """Shared area as a share of the union, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


@dataclass(frozen=True, slots=True)
class Face:
    """One face: its box, the x and y of its :data:`~vidsr.models.yunet.LANDMARKS` in pixels, and its score, 0 to 1."""

    box: FaceBox
    points: tuple[tuple[float, float], ...]
    score: float


class FaceFinder:
    """Finds faces. The network is loaded with the first picture.

    Args:
        least: the lowest score of a face that is reported.
    """

    def __init__(self, least: float = SURE) -> None:
        self.least = least
        self._network: yunet.YuNet | None = None

    def __call__(self, rgb: Tensor) -> tuple[Face, ...]:
        """The faces of ``rgb`` ``[1, 3, h, w]`` (0 to 1, clamped here), the surest first.

        Raises:
            ModelError: YuNet's weights are missing or are not the ones that vidsr ships.
        """
        if self._network is None:
            self._network = yunet.load()
        network = self._network.to(rgb.device)
        height, width = rgb.shape[-2:]
        larger = 2 if height * width <= _SMALL_PX else 1
        picture = rgb.float().clamp(0, 1).flip(1) * 255
        if larger > 1:
            picture = F.interpolate(picture, scale_factor=float(larger), mode="bilinear", align_corners=False)
        rows, columns = (-side % yunet.MULTIPLE_PX for side in picture.shape[-2:])
        levels = network(F.pad(picture, (0, columns, 0, rows)))
        score = torch.cat([level.score[0, 0].flatten() for level in levels])
        known = torch.cat([torch.cat((level.boxes, level.points), 1)[0].flatten(1) for level in levels], 1).T
        kept = torch.nonzero(score >= self.least).flatten()
        # One copy to the host, of few numbers.
        rows_found = torch.cat((score[kept, None], known[kept] / larger), 1).tolist()
        return distinct(sorted((_face(row) for row in rows_found), key=lambda face: -face.score))


def _face(row: list[float]) -> Face:
    score, left, top, width, height, *points = row
    box = FaceBox(left, top, left + width, top + height)
    return Face(box=box, points=tuple(zip(points[::2], points[1::2], strict=True)), score=score)


def distinct(faces: list[Face]) -> tuple[Face, ...]:
    """The best of each group of faces that overlap (non-maximum suppression)."""
    kept: list[Face] = []
    for face in faces:
        if all(face.box.overlap(other.box) <= _OVERLAP for other in kept):
            kept.append(face)
    return tuple(kept)
