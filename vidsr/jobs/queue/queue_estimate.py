"""The estimate for a whole queue: the sum of the estimates of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from vidsr.errors import InputError, Interrupted, VidsrError
from vidsr.jobs.choosing.settle import refuse_within
from vidsr.jobs.preview.estimate import Estimate, estimate
from vidsr.jobs.queue.planning import discover
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.media import image_sequence
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import EnhanceKeywords, chosen_options


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEstimate:
    """The estimate for a queue.

    Attributes:
        files: (name, estimate) of each video, in order.
        refused: (name, reason) of each file that cannot be done.
        pictures: how many pictures the queue has; their time is not estimated.
    """

    files: tuple[tuple[str, Estimate], ...]
    refused: tuple[tuple[str, str], ...]
    pictures: int

    @property
    def frames(self) -> int:
        """Frames of all results."""
        return sum(found.frames for _, found in self.files)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all files, one after the other."""
        return sum(found.seconds for _, found in self.files)

    @property
    def result_bytes(self) -> int:
        """Bytes of all results."""
        return sum(found.result_bytes for _, found in self.files)

    @property
    def disk_bytes(self) -> int:
        """Peak of disk use: all results and masters, and the segments of the largest file."""
        stays = [found.result_bytes + found.master_bytes for _, found in self.files]
        extra = max((one.disk_bytes - kept for (_, one), kept in zip(self.files, stays, strict=True)), default=0)
        return sum(stays) + extra

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "frames": self.frames,
            "seconds": self.seconds,
            "result_bytes": self.result_bytes,
            "disk_bytes": self.disk_bytes,
            "pictures": self.pictures,
            "files": [{"name": name, **found.to_json()} for name, found in self.files],
            "refused": [{"name": name, "reason": reason} for name, reason in self.refused],
        }


def plan_many(
    sources: Sequence[Path | str],
    *,
    options: EnhanceOptions | None = None,
    sampling: SamplingOptions | None = None,
    progress: Progress = silent,
    **keywords: Unpack[EnhanceKeywords],
) -> QueueEstimate:
    """Estimate time and size of a whole queue, by sampling each of its videos as :func:`vidsr.plan` does.

    Args:
        sources: as for :func:`vidsr.enhance_many`.
        options: of the queue, in one object. Give either this or keywords.
        sampling: for each video; its budget is that of all videos together.
        progress: called with an :class:`~vidsr.Event` for each sample, and a "file" event for each video.
        keywords: single options by name.

    Raises:
        InputError: a source does not exist, or there is no video among them.
        OptionsError, ModelError: nothing can be done at all.
    """
    chosen, how = chosen_options(options, keywords), sampling or SamplingOptions()
    refuse_within(chosen)
    found = discover([Path(source) for source in sources], None, join=chosen.source.join).found
    videos = [entry for entry in found if not entry.trouble and not entry.is_picture]
    pictures = sum(not entry.trouble and entry.is_picture for entry in found)
    if not videos:
        raise InputError(
            f"{', '.join(map(str, sources))}: no video to estimate; plan only takes videos, and numbered pictures by "
            "their pattern (frames/%06d.png)"
        )
    how = replace(how, budget_seconds=max(1.0, how.budget_seconds / len(videos)))
    done: list[tuple[str, Estimate]] = []
    refused = [(str(entry.name), entry.trouble) for entry in found if entry.trouble and not entry.foreign]
    for number, entry in enumerate(videos, 1):
        try:
            # In a queue numbered pictures become a video.
            output = Path("result.mkv") if image_sequence.is_pattern(entry.path) else None
            done.append((str(entry.name), estimate(entry.path, chosen, how, progress=progress, output=output)))
        except Interrupted:
            raise
        except VidsrError as error:
            refused.append((str(entry.name), str(error)))
        progress(Event(kind="file", text=str(entry.name), files=number, total_files=len(videos)))
    return QueueEstimate(files=tuple(done), refused=tuple(refused), pictures=pictures)
