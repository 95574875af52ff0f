"""The trials of a blind comparison, and votes that outlive the process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.places import SAMPLE
from vidsr.errors import InputError, JobError, OptionsError, OutputError
from vidsr.jobs.compare.blind import BlindTest
from vidsr.jobs.compare.views import Opened
from vidsr.options.span_options import SpanOptions

MakeClip = Callable[..., Path]
SHORT = ("-an", "-frames:v", "10", "-c:v", "ffv1")


@pytest.fixture(scope="module")
def videos(make_clip: MakeClip) -> list[Path]:
    """Three versions of one clip: as it is, darker, lighter."""
    return [
        make_clip(f"blind-{name}.mkv", "-i", str(SAMPLE), "-vf", f"lutyuv=y=val{shift}", *SHORT)
        for name, shift in (("plain", "+0"), ("dark", "-20"), ("light", "+20"))
    ]


def opened(videos: list[Path], votes: Path, moments: int = 4) -> BlindTest:
    return BlindTest(videos, votes, moments=moments, span=SpanOptions())


def mean(png: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(png))).mean())


def test_every_pair_at_every_moment_with_the_right_pictures(videos: list[Path], tmp_path: Path) -> None:
    test = opened(videos, tmp_path / "votes.json")
    assert len(test.trials) == 3 * 4
    assert {(t.moment, *sorted((t.left, t.right))) for t in test.trials} == {
        (m, a, b) for m in range(4) for a, b in ((0, 1), (0, 2), (1, 2))
    }
    for number, trial in enumerate(test.trials):
        darkness = {0: 1, 1: 0, 2: 2}
        brighter = darkness[trial.left] > darkness[trial.right]
        assert (mean(test.picture(number, "left")) > mean(test.picture(number, "right"))) == brighter
    assert not (tmp_path / "votes.json").exists(), "nothing is written before the first vote"


def test_order_and_sides_are_random(videos: list[Path], tmp_path: Path) -> None:
    tests = [opened(videos, tmp_path / f"{n}.json").trials for n in range(6)]
    assert len({str(trials) for trials in tests}) > 1
    assert {trial.left < trial.right for trials in tests for trial in trials} == {True, False}


def test_votes_are_kept_and_continued(videos: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "votes.json"
    test = opened(videos, file)
    for number in range(5):
        trial = test.trials[number]
        test.vote(number, "left" if trial.left < trial.right else "right")  # the first video wins, then the second
    again = opened(videos, file)
    assert again.trials == test.trials and again.voted == 5 and again.waiting() == 5
    assert again.undo() == 4 and again.waiting() == 4
    while (next_one := again.waiting()) is not None:
        trial = again.trials[next_one]
        again.vote(next_one, "left" if trial.left < trial.right else "right")
    shares = [found.share for found in again.found()]
    assert shares[0] > shares[1] > shares[2]
    kept = json.loads(file.read_text())
    assert kept["schema"] == "vidsr-blind/1" and len(kept["votes"]) == 12
    assert [v["wins"] for v in kept["videos"]] == [8, 4, 0]
    assert opened(videos, file).waiting() is None


def test_times_are_computed_once_however_many_votes_there_are(
    videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are a list as long as the video, and every vote writes the file."""
    calls: list[Opened] = []
    plain = Opened.seconds

    def counted(self: Opened) -> list[Fraction]:
        calls.append(self)
        return plain(self)

    monkeypatch.setattr(Opened, "seconds", counted)
    file = tmp_path / "votes.json"
    for _ in range(2):  # with new votes, and with those of before
        calls.clear()
        test = opened(videos, file)
        for number in range(4):
            test.vote(number, "same")
        assert len(calls) == 1
    assert len(json.loads(file.read_text())["moments"]) == 4


def test_refusals(videos: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "votes.json"
    with pytest.raises(OptionsError, match="at least two videos"):
        opened(videos[:1], file)
    test = opened(videos[:2], file, moments=2)
    with pytest.raises(JobError, match="no trial 2"):
        test.vote(2, "left")
    with pytest.raises(JobError, match="no trial 2"):
        test.picture(2, "left")
    assert test.undo() is None
    test.vote(0, "same")
    for other, moments in ((videos[1:], 2), (videos[:2], 3)):
        with pytest.raises(OutputError, match="votes on other videos or moments"):
            opened(other, file, moments)
    (tmp_path / "else.json").write_text("{}")
    with pytest.raises(OutputError, match="is not a file of votes"):
        opened(videos[:2], tmp_path / "else.json")
    assert (tmp_path / "else.json").read_text() == "{}", "what is not ours stays as it is"


def test_no_common_moment(videos: list[Path], make_clip: MakeClip, tmp_path: Path) -> None:
    still = make_clip("blind-still.png", "-i", str(SAMPLE), "-frames:v", "1")
    test = opened([still, videos[0]], tmp_path / "v.json")
    assert len(test.trials) == 1, "a picture has one moment"
    with pytest.raises(InputError):
        opened([tmp_path / "none.mkv", videos[0]], tmp_path / "v.json")
