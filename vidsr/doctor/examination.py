"""What an examination has found and tried so far. No probe can end it: errors become entries with a next step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Result = Literal["ok", "failed", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A fact that could not be found out: which one, why, and what to do about it."""

    probe: str
    error: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """Something that was run for real. "absent": it needs hardware that this machine lacks, which is not a fault."""

    what: str
    result: Result
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupProblem:
    """Why a plain ``vidsr enhance`` cannot run here, and what to do about it."""

    what: str
    next_step: str


@dataclass(slots=True, kw_only=True)
class Examination:
    """Facts by name, trials in order, what a plain ``vidsr enhance`` would use, and what prevents it.

    ``now`` names the probe or trial in progress, and ``on_change`` is called before and after each one, so that a
    process that dies in a library still leaves what it had found and where it was.
    """

    found: dict[str, Any] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)
    tried: list[TrialRun] = field(default_factory=list)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[SetupProblem] = field(default_factory=list)
    now: str = ""
    on_change: Callable[[], None] = lambda: None

    def look(self, name: str, probe: Callable[[], Any], next_step: str) -> Any:
        """Record the fact that ``probe`` returns under ``name``; where it raises, None, and why."""
        self._begin(name)
        try:
            self.found[name] = probe()
        except Exception as error:
            self.found[name] = None
            self.unknown.append(Unknown(probe=name, error=sentence(error), next_step=next_step))
        self._end()
        return self.found[name]

    def attempt(self, what: str, action: Callable[[], str], next_step: str, *, failure: Result = "failed") -> TrialRun:
        """Run ``action``, which says how it went; ``failure`` is the result where it raises."""
        self._begin(what)
        try:
            trial = TrialRun(what=what, result="ok", detail=action())
        except Exception as error:
            hint = next_step if failure == "failed" else ""
            trial = TrialRun(what=what, result=failure, detail=sentence(error), next_step=hint)
        self.tried.append(trial)
        self._end()
        return trial

    def use(self, name: str, value: str, because: str) -> None:
        """Record what a plain ``vidsr enhance`` would take, and why."""
        self.used[name] = {"value": value, "because": because}

    def prevent(self, what: str, next_step: str) -> None:
        """Record why the main job cannot run."""
        self.problems.append(SetupProblem(what=what, next_step=next_step))

    def add(self, other: Examination) -> None:
        """Take over all that another examination found."""
        self.found |= other.found
        self.unknown += other.unknown
        self.tried += other.tried
        self.used |= other.used
        self.problems += other.problems

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "found": self.found,
            "unknown": [asdict(one) for one in self.unknown],
            "tried": [asdict(one) for one in self.tried],
            "used": self.used,
            "problems": [asdict(one) for one in self.problems],
            "now": self.now,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Examination:
        """The examination that :meth:`to_json` wrote."""
        return cls(
            found=values["found"],
            unknown=[Unknown(**one) for one in values["unknown"]],
            tried=[TrialRun(**one) for one in values["tried"]],
            used=values["used"],
            problems=[SetupProblem(**one) for one in values["problems"]],
            now=values["now"],
        )

    def _begin(self, what: str) -> None:
        self.now = what
        self.on_change()

    def _end(self) -> None:
        self.now = ""
        self.on_change()


def sentence(error: BaseException) -> str:
    """The first line of an error that says something, with its kind where it is none of vidsr's own."""
    from vidsr.errors import VidsrError

    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, VidsrError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
