"""The outcome of a verification: one line per property, in words a person can judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

CheckState = Literal["same", "announced", "different"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One property compared. "announced" is a difference that vidsr said beforehand, and why."""

    name: str
    state: CheckState
    source: str
    result: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """All that was compared between a source and a result."""

    source: str
    result: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs that was not announced."""
        return all(check.state != "different" for check in self.checks)

    @property
    def differences(self) -> tuple[Check, ...]:
        """What differs without having been announced."""
        return tuple(check for check in self.checks if check.state == "different")

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        checks = [
            {"name": c.name, "state": c.state, "source": c.source, "result": c.result, "why": c.why}
            for c in self.checks
        ]
        return {"source": self.source, "result": self.result, "ok": self.ok, "checks": checks}

    def table(self) -> str:
        """The report as a table of text."""
        marks = {"same": "ok", "announced": "note", "different": "DIFF"}
        rows = [("", "what", "source", "result")]
        rows += [(marks[c.state], c.name, c.source, c.result + (f"  ({c.why})" if c.why else "")) for c in self.checks]
        widths = [min(44, max(len(row[i]) for row in rows)) for i in range(3)]
        lines = ["  ".join((*(row[i].ljust(widths[i]) for i in range(3)), row[3])).rstrip() for row in rows]
        return "\n".join(lines)


def check_equal(name: str, source: Any, result: Any, *, announced: str = "") -> Check:
    """A check that two values are equal; ``announced`` says why they may differ."""
    if source == result:
        return Check(name=name, state="same", source=str(source), result=str(result))
    state: CheckState = "announced" if announced else "different"
    return Check(name=name, state=state, source=str(source), result=str(result), why=announced)
