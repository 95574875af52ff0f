"""``compare --blind``: moments of several videos in pairs, in random order, and the votes on them in a file."""

from __future__ import annotations

import io
import itertools
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from vidsr.errors import InputError, JobError, OptionsError, OutputError
from vidsr.inference.colour import rgb8_of
from vidsr.jobs.compare.parties import open_part
from vidsr.jobs.compare.views import Opened, pair_up
from vidsr.jobs.state.events import Progress, silent
from vidsr.media.decode import read_frames
from vidsr.options.span_options import SpanOptions
from vidsr.quality.preference import Preference, preferences
from vidsr.storage import sha256_of, write_atomically
from vidsr.version import __version__

BLIND_SCHEMA = "vidsr-blind/1"
Choice = Literal["left", "right", "same"]
ShownSide = Literal["left", "right"]
#: The share of the left picture that a vote stands for.
_SHARES = {"left": 1.0, "right": 0.0, "same": 0.5}
#: Decoded pictures that are kept: those of the trial on screen and of the next.
_KEPT_PICTURES = 16


@dataclass(frozen=True, slots=True)
class BlindTrial:
    """Two videos (by number) at one moment (by number), and which is shown where."""

    moment: int
    left: int
    right: int


class BlindTest:
    """The trials of a blind comparison, the pictures to show, and the votes so far.

    The order of the trials and the sides are random, from a seed that the file of votes keeps: opening the same videos
    with the same file continues where it was left. Each vote is on the disk before :meth:`vote` returns.

    Raises:
        InputError: a file is not a video, or there is no moment at which all of them show a frame.
        OptionsError: fewer than two videos.
        OutputError: the file of votes is of another comparison, or is not one.
    """

    def __init__(
        self, videos: Sequence[Path], votes: Path, *, moments: int, span: SpanOptions, progress: Progress = silent
    ) -> None:
        if len(videos) < 2:
            raise OptionsError("--blind compares at least two videos")
        first = open_part(videos[0], progress, span)
        self._videos = [first, *(open_part(path, progress, span, within=first) for path in videos[1:])]
        self._paths, self._file = [Path(path) for path in videos], votes
        self._digests = [sha256_of(path) for path in self._paths]
        self._seed = secrets.randbits(32)
        self._choices: dict[int, Choice] = {}
        self._order: list[int] = []
        frames = _common_frames(self._videos)
        if not frames:
            raise InputError("there is no moment at which all of these videos show a frame")
        count = min(moments, len(frames))
        self._frames = [frames[int((i + 0.5) * len(frames) / count)] for i in range(count)]
        times = first.seconds()
        #: In the first video. Its times are a list as long as it is, so they are not computed again for every vote.
        self._moments = [float(times[numbers[0]]) for numbers in self._frames]
        if votes.exists():
            self._resume(votes)
        self.trials = self._trials()
        if any(not 0 <= number < len(self.trials) for number in self._order):
            raise OutputError(f"{votes}: it holds votes on trials that do not exist; choose another --votes")
        self._picture = lru_cache(maxsize=_KEPT_PICTURES)(self._decoded)

    @property
    def names(self) -> list[str]:
        """The videos' paths, in the order given."""
        return [str(path) for path in self._paths]

    @property
    def voted(self) -> int:
        """How many trials have a vote."""
        return len(self._choices)

    def waiting(self) -> int | None:
        """The number of the first trial without a vote; None if all have one."""
        return next((n for n in range(len(self.trials)) if n not in self._choices), None)

    def vote(self, trial: int, choice: Choice) -> None:
        """Record a vote; a second one on the same trial replaces the first.

        Raises:
            JobError: there is no such trial.
            OutputError: the file of votes cannot be written.
        """
        if not 0 <= trial < len(self.trials) or choice not in get_args(Choice):
            raise JobError(f"there is no trial {trial} or no choice {choice!r}")
        self._choices[trial] = choice
        self._order = [n for n in self._order if n != trial] + [trial]
        self._save()

    def undo(self) -> int | None:
        """Take the last vote back; the number of its trial, None if there was no vote."""
        if not self._order:
            return None
        last = self._order.pop()
        del self._choices[last]
        self._save()
        return last

    def picture(self, trial: int, side: ShownSide) -> bytes:
        """One picture of a trial as PNG.

        Raises:
            JobError: there is no such trial.
        """
        if not 0 <= trial < len(self.trials):
            raise JobError(f"there is no trial {trial}")
        shown = self.trials[trial]
        return self._picture(shown.left if side == "left" else shown.right, shown.moment)

    def found(self) -> list[Preference]:
        """What the votes so far say of each video, in the order given."""
        votes = [
            (self.trials[n].left, self.trials[n].right, _SHARES[choice]) for n, choice in sorted(self._choices.items())
        ]
        return preferences(len(self._videos), votes)

    def to_json(self) -> dict[str, Any]:
        """The file of votes: videos, moments in seconds, every trial's vote in the order given, and what they say."""
        return {
            "schema": BLIND_SCHEMA,
            "vidsr": __version__,
            "videos": [
                {"path": str(path), "sha256": digest, **found.to_json()}
                for path, digest, found in zip(self._paths, self._digests, self.found(), strict=True)
            ],
            "moments": self._moments,
            "seed": self._seed,
            "trials": len(self.trials),
            "votes": [
                {
                    "trial": number,
                    "moment": self.trials[number].moment,
                    "left": self.trials[number].left,
                    "right": self.trials[number].right,
                    "choice": self._choices[number],
                }
                for number in self._order
            ],
        }

    def _save(self) -> None:
        write_atomically(self._file, json.dumps(self.to_json(), indent=1).encode())

    def _resume(self, file: Path) -> None:
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            same = kept["schema"] == BLIND_SCHEMA and [v["sha256"] for v in kept["videos"]] == self._digests
            same = same and kept["moments"] == self._moments
            self._seed = int(kept["seed"])
            self._choices = {int(v["trial"]): v["choice"] for v in kept["votes"]}
            self._order = list(self._choices)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{file} is not a file of votes ({error}); choose another --votes") from error
        if not same or not set(self._choices.values()) <= set(get_args(Choice)):
            raise OutputError(
                f"{file} holds votes on other videos or moments; give the same videos, --moments and part, or another "
                "--votes"
            )

    def _trials(self) -> list[BlindTrial]:
        chance = random.Random(self._seed)
        pairs = itertools.combinations(range(len(self._videos)), 2)
        trials = [BlindTrial(moment, *pair) for pair in pairs for moment in range(len(self._frames))]
        chance.shuffle(trials)
        return [BlindTrial(t.moment, t.right, t.left) if chance.random() < 0.5 else t for t in trials]

    def _decoded(self, video: int, moment: int) -> bytes:
        from PIL import Image

        opened, number = self._videos[video], self._frames[moment][video]
        frame = next(iter(read_frames(opened.info, number, number + 1, opened.index)))
        memory = io.BytesIO()
        Image.fromarray(rgb8_of(frame)).save(memory, "PNG", compress_level=3)
        return memory.getvalue()


def _common_frames(videos: Sequence[Opened]) -> list[tuple[int, ...]]:
    """The frame numbers of every video at each moment that all of them show."""
    first = videos[0]
    times = first.part_seconds()
    partners = [dict(pair_up(times, other.part_seconds()).pairs) for other in videos[1:]]
    return [
        (first.part[i], *(other.part[found[i]] for other, found in zip(videos[1:], partners, strict=True)))
        for i in range(len(first.part))
        if all(i in found for found in partners)
    ]
