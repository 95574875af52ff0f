"""Where ``--multiframe`` took detail from neighbouring frames, and the reasons against it elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidsr.options.enhance_options import EnhanceOptions

NeighbourRun = tuple[int, int, str]
#: Maximum number of stretches that a note names.
_NAMED = 3


def joined_runs(runs: Iterable[Sequence[int | str]]) -> tuple[NeighbourRun, ...]:
    """Runs (first, last + 1, reason against) in order, with adjacent runs of one kind joined."""
    joined: list[NeighbourRun] = []
    for first, stop, against in runs:
        run = (int(first), int(stop), str(against))
        if joined and joined[-1][1] == run[0] and joined[-1][2] == run[2]:
            joined[-1] = (joined[-1][0], run[1], run[2])
        else:
            joined.append(run)
    return tuple(joined)


def is_used(against: str) -> bool:
    """Whether neighbouring frames were mixed in despite this reason, as a judgement words it."""
    return not against or against.startswith("partly")


def neighbour_notes(options: EnhanceOptions, runs: Sequence[NeighbourRun], what: str = "frames") -> tuple[str, ...]:
    """One line on what ``--multiframe auto`` chose; none if it was not requested or judged no frame."""
    if options.restore.multiframe is not None or not runs:
        return ()
    total = sum(stop - first for first, stop, _ in runs)
    used = sum(stop - first for first, stop, against in runs if is_used(against))
    line = f"--multiframe auto: {used} of {total} {what} take detail from their neighbours"
    doubtful = [run for run in runs if run[2]]
    if not doubtful:
        return (line,)
    named = [f"frames {first} to {stop - 1} ({against})" for first, stop, against in doubtful[:_NAMED]]
    more = f" and {len(doubtful) - _NAMED} more stretches" if len(doubtful) > _NAMED else ""
    return (f"{line}; reasons against it: {', '.join(named)}{more}",)
