"""Tables of parts: every way to write one, and one clear error with its line for whatever cannot be meant."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidsr.errors import InputError
from vidsr.jobs.queue.parts_table import read_parts
from vidsr.options.span_options import write_time


def table(folder: Path, text: str | bytes) -> Path:
    path = folder / "parts.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    return [(row.line, str(row.span), row.name) for row in read_parts(table(folder, text))]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("header", [[], ["From", "to", "name"]])
def test_separators_line_ends_marks_and_headers(
    separator: str, end: str, mark: str, header: list[str], tmp_path: Path
) -> None:
    rows = [header] * bool(header) + [["10", "1:02.5", "a b"], ["", "20", ""], ["30", "", "née"], ["100:200", "", "f"]]
    text = mark + end.join(["# shots", "", *(separator.join(row) for row in rows), separator * 2, ""])
    first = 3 + bool(header)
    assert read(tmp_path, text) == [
        (first, "--from 10 --to 1:02.5", "a b"),
        (first + 1, "--to 20", ""),
        (first + 2, "--from 30", "née"),
        (first + 3, "--frames 100:200", "f"),
    ]


def test_decimal_commas_quotes_and_named_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "1,5;2,5") == [(1, "--from 1.5 --to 2.5", "")]
    assert read(tmp_path, '"1,5",2,"a, b; c"') == [(1, "--from 1.5 --to 2", "a, b; c")]
    assert read(tmp_path, "name,frames\na,10:20\nb,5:") == [(2, "--frames 10:20", "a"), (3, "--frames 5:", "b")]
    assert read(tmp_path, ",,all") == [(1, "", "all")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\nx,5", r"line 2: from x: not a time"),
        ("1,2\n\n#\n-1,5", r"line 4: from -1: times are not negative"),
        ("20,10", r"line 1: --from 20 --to 10: the end must lie after the start"),
        ("200:100", r"line 1: .*the stop must lie after"),
        ("10:20", r"line 1: 10:20 without an end may be a time or frames; write 0:10:20"),
        ("1,2,a/b", r"line 1: the name a/b holds a path separator"),
        ("1,2,a\\b", r"line 1: .*path separator"),
        ("1,2,..", r"line 1: \.\. is not a name"),
        ("1,2,a\x07b", r"line 1: .*control character"),
        ("1,2,a,b", r"line 1: 4 cells"),
        ('1,2,"a', r"line 1: "),
        ("from,til\n1,2", r"line 1: unknown column 'til'"),
        ("from,to,from\n1,2", r"line 1: the column from appears twice"),
        ("from,frames\n1,10:20", r"line 2: frames and times contradict"),
        ("from,to,name\n", "names no part"),
        ("", "names no part"),
        ("1,2".encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_parts(table(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "parts.csv"))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_parts(tmp_path / "none.csv")


times = st.fractions(min_value=0, max_value=90000, max_denominator=1000).map(lambda t: Fraction(round(t * 1000), 1000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=5))
def test_written_times_are_read_again(tmp_path: Path, pairs: list[tuple[Fraction, Fraction]]) -> None:
    ordered = [sorted(pair) for pair in pairs]
    rows = read_parts(table(tmp_path, "\n".join(f"{write_time(a)},{write_time(b)}" for a, b in ordered)))
    assert [[row.span.begin, row.span.finish] for row in rows] == ordered


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_a_table_or_one_clear_error(tmp_path: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        assert read_parts(table(tmp_path, data))
    except InputError as error:
        assert str(tmp_path / "parts.csv") in str(error)
