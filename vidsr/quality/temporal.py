"""How steady a video is in time against its reference: tOF and the warping error.

Both follow motion with OpenCV's optical flow, which the extra ``compare`` installs.

* tOF: Chu et al., "Learning Temporal Coherence via Self-Supervision for GAN-based Video Generation" (TecoGAN),
  ACM TOG 2020: the mean length of the difference between the reference's and the video's own Farnebäck flow.
* Warping error: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, equation 6, with motion and
  occlusion taken from the reference (DIS flow, medium preset).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.errors import MissingExtraError
from vidsr.frames import Floats, Rgb8

#: Side that DIS flow needs.
MIN_SIDE = 16


def available() -> bool:
    """Whether OpenCV is installed."""
    try:
        _cv2()
    except MissingExtraError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class BackMotion:
    """Where each pixel was one frame earlier: what the warping error starts from.

    ``back`` is the flow ``[H, W, 2]`` in pixels from the later frame to the earlier; ``seen`` is false where a
    pixel was hidden before.
    """

    back: Floats
    seen: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Motion(BackMotion):
    """Motion of the reference between two frames: what both measures start from.

    ``forth`` is the Farnebäck flow from the earlier frame to the later.
    """

    forth: Floats


def back_motion(before: Rgb8, now: Rgb8) -> BackMotion:
    """Where each pixel of a frame was in the one before, RGB uint8 ``[H, W, 3]``.

    A pixel counts as seen where |forth + back|² < 0.01 (|forth|² + |back|²) + 0.5 (Sundaram et al. 2010).

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    cv2 = _cv2()
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    earlier, later = (_grey_of_floats(cv2, frame) for frame in (before, now))
    back: Floats = dis.calc(later, earlier, None)
    forth: Floats = dis.calc(earlier, later, None)
    there = _carry(cv2, forth, back, cv2.INTER_LINEAR)
    return BackMotion(back, _squared(back + there) < 0.01 * (_squared(back) + _squared(there)) + 0.5)


def motion(before: Rgb8, now: Rgb8) -> Motion:
    """Motion between two consecutive frames of the reference, RGB uint8 ``[H, W, 3]``; see :func:`back_motion`.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    found = back_motion(before, now)
    return Motion(found.back, found.seen, _farneback(_cv2(), before, now))


def tof(of_reference: Motion, before: Rgb8, now: Rgb8) -> float:
    """tOF between two consecutive frames of a video, in pixels; 0 where it moves exactly as its reference."""
    difference = _inner(of_reference.forth - _farneback(_cv2(), before, now))
    return float(np.sqrt(_squared(difference)).mean())


def warping_error(of_reference: BackMotion, before: Rgb8, now: Rgb8) -> float:
    """Mean squared difference, RGB in 0..1, of a frame and its predecessor carried along, where it is seen.

    A blurred video does better than its reference here: read it next to LPIPS.
    """
    cv2 = _cv2()
    earlier, later = _floats(before), _floats(now)
    carried = _carry(cv2, earlier, of_reference.back, cv2.INTER_CUBIC)
    squared = ((later - carried) ** 2).mean(-1)
    return float(squared[of_reference.seen].mean()) if of_reference.seen.any() else 0.0


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("tOF and the warping error need OpenCV: pip install 'vidsr-esrgan[compare]'") from error
    return cv2


def _floats(frame: Rgb8) -> Floats:
    unit: Floats = frame.astype(np.float32) / np.float32(255)
    return unit


def _grey_of_floats(cv2: Any, frame: Rgb8) -> Rgb8:
    grey: Rgb8 = (cv2.cvtColor(_floats(frame), cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)
    return grey


def _farneback(cv2: Any, before: Rgb8, now: Rgb8) -> Floats:
    """Flow with TecoGAN's parameters: pyramid 0.5 of 3 levels, window 15, 3 passes, neighbourhood 5, sigma 1.2."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now)]
    flow: Floats = cv2.calcOpticalFlowFarneback(*greys, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return flow


def _carry(cv2: Any, field: Floats, flow: Floats, how: int) -> Floats:
    """``field`` looked up where ``flow`` points; the edge is repeated beyond it."""
    places = np.mgrid[0 : field.shape[0], 0 : field.shape[1]].astype(np.float32)
    across, down = places[1] + flow[..., 0], places[0] + flow[..., 1]
    carried: Floats = cv2.remap(field, across, down, how, borderMode=cv2.BORDER_REPLICATE)
    return carried


def _squared(flow: Floats) -> Floats:
    total: Floats = (flow**2).sum(-1)
    return total


def _inner(field: Floats) -> Floats:
    """The centre with sides that are multiples of 32 and at least 16 shorter, as the published code cuts it.

    Frames too small for that are taken whole.
    """
    rows, columns = ((side - 16) // 32 * 32 for side in field.shape[:2])
    if rows < 32 or columns < 32:
        return field
    top, left = (field.shape[0] - rows) // 2, (field.shape[1] - columns) // 2
    return field[top : top + rows, left : left + columns]
