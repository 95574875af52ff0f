"""Where ``--multiframe`` took detail from neighbouring frames, and what spoke against it elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidsr.options import EnhanceOptions

NeighbourRun = tuple[int, int, str]
#: So many stretches are named in a note.
_NAMED = 3


def joined_runs(runs: Iterable[Sequence[int | str]]) -> tuple[NeighbourRun, ...]:
    """Runs (first, last + 1, what spoke against) in order, adjacent ones of one kind made one."""
    joined: list[NeighbourRun] = []
    for first, stop, against in runs:
        run = (int(first), int(stop), str(against))
        if joined and joined[-1][1] == run[0] and joined[-1][2] == run[2]:
            joined[-1] = (joined[-1][0], run[1], run[2])
        else:
            joined.append(run)
    return tuple(joined)


def is_used(against: str) -> bool:
    """Whether neighbouring frames were mixed in although this, as a judgement words it, spoke against them."""
    return not against or against.startswith("partly")


def neighbour_notes(options: EnhanceOptions, runs: Sequence[NeighbourRun], what: str = "frames") -> tuple[str, ...]:
    """One line on what ``--multiframe auto`` chose; none where it was not asked for or looked at no frame."""
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
    return (f"{line}; against it speak {', '.join(named)}{more}",)
