"""Outputs that must not be written are refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidsr.errors import OutputError
from vidsr.jobs.disk_space import check_output


def test_a_free_name_in_a_writable_folder_passes_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.touch()
    check_output(source, tmp_path / "b.mkv", overwrite=False)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot write into"):
        check_output(tmp_path / "a.mp4", locked / "b.mkv", overwrite=False)


def test_a_folder_that_takes_no_files_is_refused_for_root_too() -> None:
    # /proc takes no new files from anyone.
    with pytest.raises(OutputError, match="cannot write into"):
        check_output(Path("a.mp4"), Path("/proc/b.mkv"), overwrite=False)
