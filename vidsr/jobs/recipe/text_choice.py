"""Whether ``--text auto`` holds the small text of a source: not where lossy compression has gone over it.

To follow a compressed source brings its ringing back into the letters. A frame alone hardly shows that it was
compressed, and what it shows changes from one frame to the next, so the choice is made once for a whole job: by what
the file says of itself, and by a few places all over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vidsr.errors import VidsrError
from vidsr.frames import Frame
from vidsr.media.samples import stretches
from vidsr.media.source import StoredInfo
from vidsr.models.checkpoint import LoadedModel
from vidsr.options.restore_options import RestoreOptions

if TYPE_CHECKING:
    from torch import Tensor

#: Places that are looked at, and frames at each.
_PLACES, _LENGTH = 3, 9
#: Sides of the middle of a frame that is looked at, at most.
_MOST_PX = 512


def settled_text(restore: RestoreOptions, info: StoredInfo, model: LoadedModel) -> tuple[RestoreOptions, str]:
    """``restore`` in which ``--text`` is "hold" or "free", and what speaks against "hold" where it was "auto".

    The words are empty where text is held, and where nothing was left open.
    """
    from vidsr.filters.hold import text_hold

    chosen = text_hold.settled(restore, model.network)
    if restore.text != "auto":
        return chosen, ""
    against = _against(restore, info)
    if not against and chosen.text == "free":
        against = "beside a network as fast as this one, the search for text takes too long"
    against = against or _compression(info)
    return replace(chosen, text="free" if against else "hold"), against


def _against(restore: RestoreOptions, info: StoredInfo) -> str:
    """What speaks against text being held, without a look at the pictures; "" if nothing does."""
    if restore.invent == 0:
        return "--invent 0 leaves the result of one model alone"
    if not info.video.is_lossless:
        return f"the source was compressed with loss ({info.video.codec})"
    if info.video.interlaced:
        return "it was not measured on interlaced sources"
    return ""


def _compression(info: StoredInfo) -> str:
    """What shows, at one of several places, that the source was compressed earlier, or that too little is seen to tell;
    "" if nothing does."""
    from vidsr.filters.after.soundness import FEWEST, compression, look

    judged = False
    try:
        for _, frames in stretches(info, places=_PLACES, length=_LENGTH, whole=_PLACES * _LENGTH):
            for scene in _scenes(frames):
                looks = [one for one in map(look, scene) if one is not None]
                if len(looks) < FEWEST:
                    continue
                against = compression(looks)
                if against:
                    return against
                judged = True
    except VidsrError:
        judged = False  # the job itself reports what is wrong
    return "" if judged else "too few frames that differ, or too small ones, to tell whether it was compressed"


def _scenes(frames: Sequence[Frame]) -> Iterator[list[Tensor]]:
    """The scenes of a stretch as RGB pictures ``[1, 3, h, w]``; repeated ones are left out."""
    from vidsr.filters.after.soundness import middle
    from vidsr.filters.between.interpolation import is_cut, is_surely_no_cut
    from vidsr.inference.colour import rgb_of

    scene: list[Tensor] = []
    for rgb in (middle(rgb_of(frame), _MOST_PX) for frame in frames):
        if scene and rgb.equal(scene[-1]):
            continue
        if scene and not is_surely_no_cut(scene[-1], rgb) and is_cut(scene[-1], rgb):
            yield scene
            scene = []
        scene.append(rgb)
    yield scene
