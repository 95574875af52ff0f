"""A codec's trial gives back the frames it encoded, and notices when they are others or fewer."""

from __future__ import annotations

from typing import Any

import pytest

from vidsr.errors import DecodeError, EncodeError
from vidsr.media.encode import codec_trial
from vidsr.media.encode.codec_trial import try_codec


def test_a_lossless_codec_gives_back_every_frame_exactly() -> None:
    trial = try_codec("ffv1")
    assert trial.frames == 6
    assert trial.psnr == 99.0
    assert trial.size > 1000


def test_frames_that_come_back_changed_or_not_at_all_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = codec_trial._decoded
    monkeypatch.setattr(codec_trial, "_decoded", lambda *args: [255 - plane for plane in real(*args)])
    with pytest.raises(DecodeError, match="not those encoded"):
        try_codec("h264")
    monkeypatch.setattr(codec_trial, "_decoded", lambda *args: real(*args)[1:])
    with pytest.raises(DecodeError, match="6 frames were encoded, 5 came back"):
        try_codec("h264")


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(EncodeError, match="nonsense"):
        try_codec("nonsense")
