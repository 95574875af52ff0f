"""The page is ASCII, aligned, no wider than it should be, and complete when almost nothing is known."""

from __future__ import annotations

from vidsr.doctor.doctor_report import report_of
from vidsr.doctor.examination import Examination
from vidsr.doctor.page import page_of


def test_a_page_about_nothing_is_a_page() -> None:
    page = page_of(report_of(Examination()))
    assert page.startswith("vidsr doctor: ready\n")
    assert page.count("not known") >= 8
    assert "nothing could be tried" in page


def test_problems_come_first_with_their_next_step_in_ascii_lines() -> None:
    exam = Examination()

    def fail() -> str:
        raise ValueError("kaputt: Gerät ≠ da\nmore")

    exam.attempt("a form", fail, "do this " * 30)
    exam.attempt("an engine", fail, "", failure="absent")
    exam.look("cpu", fail, "do that")
    exam.prevent("no picture", "give --device cpu")
    page = page_of(report_of(exam))
    assert page.isascii()
    lines = page.splitlines()
    assert lines[0] == "vidsr doctor: NOT READY: vidsr enhance cannot run here"
    assert lines[1].split() == ["problem", "no", "picture"]
    assert lines[2].split() == ["next", "step", "give", "--device", "cpu"]
    assert r"failed  a form     ValueError: kaputt: Ger\xe4t \u2260 da" in page
    assert "absent  an engine: no such hardware here" in page
    assert "- cpu could not be examined (ValueError: kaputt" in page
    assert max(map(len, lines)) <= 110
