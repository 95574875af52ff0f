"""Where neighbouring frames were used, joined over segments and said in one line."""

from __future__ import annotations

from vidsr.jobs.neighbour_runs import joined_runs, neighbour_notes
from vidsr.options.enhance_options import EnhanceOptions

AUTO = EnhanceOptions.from_flat({"multiframe": "auto"})


def test_runs_of_one_kind_are_joined_across_segments() -> None:
    found = joined_runs([[0, 8, ""], [8, 10, "noise"], [10, 12, "noise"], [12, 20, ""], [20, 24, ""]])
    assert found == ((0, 8, ""), (8, 12, "noise"), (12, 24, ""))
    assert joined_runs([[0, 8, ""], [12, 16, ""]]) == ((0, 8, ""), (12, 16, ""))


def test_the_note_counts_frames_and_names_what_speaks_against() -> None:
    (note,) = neighbour_notes(AUTO, [(0, 8, ""), (8, 12, "noise"), (12, 20, "partly: little fine detail")])
    used = "frames take detail from their neighbours"
    against = "frames 8 to 11 (noise), frames 12 to 19 (partly: little fine detail)"
    assert note == f"--multiframe auto: 16 of 20 {used}; reasons against it: {against}"
    assert neighbour_notes(AUTO, [(0, 8, "")]) == (f"--multiframe auto: 8 of 8 {used}",)
    many = [(n, n + 1, "noise" if n % 2 else "") for n in range(12)]
    assert neighbour_notes(AUTO, many)[0].endswith("and 3 more stretches")


def test_no_note_without_auto_or_without_frames() -> None:
    assert neighbour_notes(AUTO, []) == ()
    assert neighbour_notes(EnhanceOptions.from_flat({"multiframe": 0.5}), [(0, 8, "")]) == ()
