"""Find turns of phrase that read as translated: ``python -m scripts.check_prose [PATH …]``.

Looks at Markdown, and at the comments and strings of Python files. Without paths it checks the documents, as ``make
lint`` does; ``python -m scripts.check_prose vidsr`` checks the code.
Prints one line per find, with the reason, and exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "benchmarks/README.md")
#: pattern → what to write
TICS = {
    r"(?<!there )\b(?:is|are|was|were) no (?!(?:longer|more|less|different|\w+er)\b)": "'is not a', or name it",
    r"\b(?:told|tells)\b": "say, report, record, show or distinguish",
    r"\bwhat (?:becomes?|became|is|are) of\b": "name the thing: 'how … is handled', 'the resulting …'",
    r"\bat (?:their|its) very\b": "'exactly at'",
    r"\bso (?:often|long) (?:may|can|are|is)\b": "'maximum number of …', 'seconds until …'",
    r"^\W*so (?:often|many|long|much)\b": "'maximum number of …', 'seconds until …'",
    r"\b(?:can|cannot|could|may) be had\b": "'is available', 'can be built'",
    r"\bwished for\b": "'requested'",
    r"\bin work\b": "'in progress', 'current'",
    r"\banew\b": "'again', 'from the start', 'over'",
    r"\bfor want of\b": "'for lack of', 'because there is no …'",
    r"\bwithout a word\b": "'silently'",
    r"\bfor ever\b": "'forever'",
    r"\b(?:it|them|that) all the same\b": "'anyway'",
    r"\bgoes? on where\b": "'continues where'",
    r"\bbesides\b": "'also', 'except', 'in addition'",
    r"\bbeside (?:much |other |a |its )*(?:other )?work\b": "'on a busy machine'",
    r"\bother ones than\b": "'different from'",
    r"\b(?:is|are) (?:said|named) by\b": "active voice",
    r"\b(?:in the large|by the clock|of the wall|the wall clock says)\b": "'coarse', 'wall-clock'",
    r"\bis refused in\b": "'is rejected in'",
    r"\bfrom the (?:beginning|end) on\b": "'from the start'",
    r"\bas good as nothing\b|\bnext to nothing\b": "'almost nothing'",
    r"\bstrangers\b": "'unrelated models', 'other users'",
}
PATTERNS = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in TICS.items()]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of what people read in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    strings = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in strings and " " in token.string:
            yield from enumerate(token.string.splitlines(), token.start[0])


def finds(path: Path) -> Iterator[str]:
    """One line per tic in a file."""
    for number, line in prose(path):
        for pattern, advice in PATTERNS:
            for match in pattern.finditer(line):
                yield f"{path.relative_to(ROOT)}:{number}: {match.group(0)!r}: {advice}"


def main(argv: list[str] | None = None) -> int:
    """Check the paths; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    paths = parser.parse_args(argv).paths or [ROOT / name for name in DOCUMENTS]
    files: list[Path] = []
    for path in paths:
        files += sorted(p for p in path.rglob("*") if p.suffix in (".md", ".py")) if path.is_dir() else [path]
    found = [line for path in files for line in finds(path.resolve())]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
