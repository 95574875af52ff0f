"""Settings of the web app, and where it keeps its files."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import OptionsError

#: Folder for uploads, inside the first root.
UPLOADS = "vidsr-uploads"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """The settings of ``vidsr serve``.

    ``roots`` are the folders, links resolved, that sources are read from and results written to; paths outside
    them are rejected. ``state`` keeps the runs. ``token`` is None only on a loopback address.
    """

    roots: tuple[Path, ...]
    state: Path
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    max_upload_bytes: int = 20 << 30
    parallel: int = 1

    def check(self) -> WebSettings:
        """Return self.

        Raises:
            OptionsError: a root is not a folder, or other machines can reach the address and no token is set.
        """
        for root in self.roots:
            if not root.is_dir():
                raise OptionsError(f"--root {root}: not a folder")
        if not self.roots:
            raise OptionsError("--root: name at least one folder")
        if self.token is None and not is_loopback(self.host):
            raise OptionsError(f"--host {self.host}: other machines can reach this address; also set a --token")
        if self.token is not None and len(self.token) < 16:
            raise OptionsError("--token: too short; use at least 16 characters")
        return self

    @property
    def uploads(self) -> Path:
        """The folder that uploads go to; created with the first upload."""
        return self.roots[0] / UPLOADS


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def default_state() -> Path:
    """Where runs are kept: ``VIDSR_STATE`` if set, else the user's state folder for vidsr."""
    chosen = os.environ.get("VIDSR_STATE")
    if chosen:
        return Path(chosen) / "web"
    import platformdirs

    return platformdirs.user_state_path("vidsr") / "web"
