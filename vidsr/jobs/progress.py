"""What a running job tells about itself: one event object, and the callable that receives it.

The command line draws a bar from it, ``--progress json`` prints it, the web app forwards it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "warning", "job", "segment", "frame", "stage", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``note`` and ``warning`` carry ``text``. ``job`` opens the work and ``done`` ends it. ``stage`` names what is
    being done besides frames ("index", "assemble", "verify"). ``frame`` counts finished frames: ``frames`` of
    ``total_frames``, of which ``resumed_frames`` were done by an earlier run and say nothing about speed.
    """

    kind: Kind
    text: str = ""
    frames: int = 0
    total_frames: int = 0
    resumed_frames: int = 0
    segment: int | None = None


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """A :data:`Progress` that drops everything."""
