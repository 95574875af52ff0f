"""How the web app is set up, and where its things lie."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import OptionsError

#: Name of the folder below the first root that uploads go to.
UPLOADS = "vidsr-uploads"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What ``vidsr serve`` was told.

    ``roots`` are the folders, links resolved, that sources are read from and results written to; nothing outside
    them can be named. ``state`` keeps the runs. ``token`` is None only on a loopback address.
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
            OptionsError: a root is no folder, or the address can be reached from outside and no token is set.
        """
        for root in self.roots:
            if not root.is_dir():
                raise OptionsError(f"--root {root}: no such folder")
        if not self.roots:
            raise OptionsError("--root: name at least one folder")
        if self.token is None and not is_loopback(self.host):
            raise OptionsError(f"--host {self.host} can be reached by others: give a --token, too")
        if self.token is not None and len(self.token) < 16:
            raise OptionsError("--token: at least 16 characters")
        return self

    @property
    def uploads(self) -> Path:
        """The folder that uploads go to; made when the first one comes."""
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
