"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path


def publish(part: Path, final: Path) -> None:
    """Give the finished file ``part`` its final name, durably: sync it, rename it, sync its folder."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        # Some file systems cannot sync a folder; the rename itself was done.
        pass
    finally:
        os.close(descriptor)
