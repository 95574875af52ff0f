"""Downloads weights: resumed where they broke off, and given their name only after their digest was checked."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from torch import Tensor

from vidsr.errors import DownloadError, OutputError
from vidsr.models.zoo import ZooEntry
from vidsr.storage import output_errors, publish, sha256_of
from vidsr.version import __version__

_CHUNK = 1 << 16

#: Called with (bytes here now, bytes in all or None).
DownloadProgress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Limits of a download: seconds without a byte, attempts, seconds before the second attempt (then doubled)."""

    timeout_seconds: float = 30
    attempts: int = 5
    pause_seconds: float = 1
    progress: DownloadProgress = field(default=lambda done, total: None)


def download(url: str, target: Path, sha256: str | None, settings: FetchSettings | None = None) -> str:
    """Download ``url`` to ``target`` and return its SHA-256.

    What has arrived is kept in ``target.part`` when the connection breaks, and the next attempt, in this call or a
    later one, resumes from there. With ``sha256`` None any content is taken; the caller shows the digest.

    Raises:
        DownloadError: no connection, an HTTP error, or a digest that is not ``sha256``; after a wrong digest
            nothing is kept.
        OutputError: the folder cannot be written; DiskFullError if the disk is full.
    """
    settings = settings or FetchSettings()
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: only http and https addresses can be fetched")
    # Spaces and letters beyond ASCII, as people paste them; what is escaped already stays.
    url = quote(url, safe="%/:?#[]@!$&'()*+,;=~")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent}: cannot be made ({error.strerror})") from error
    resumed = part.exists() and part.stat().st_size > 0
    _persist(url, part, settings)
    got = sha256_of(part)
    if sha256 is not None and got != sha256 and resumed:
        # The old part may have been the beginning of another file: start over.
        part.unlink()
        _persist(url, part, settings)
        got = sha256_of(part)
    if sha256 is not None and got != sha256:
        part.unlink()
        raise DownloadError(f"{url}: the SHA-256 of what arrived is {got}, expected {sha256}; nothing was kept")
    with output_errors(target):
        publish(part, target)
    return got


def fetch_entry(entry: ZooEntry, folder: Path, sha256: str | None, settings: FetchSettings | None = None) -> str:
    """Fetch an entry of the zoo into ``folder`` and return the digest of its file.

    Raises:
        DownloadError: as :func:`download`, or the entry has no address.
    """
    if entry.parts:
        return _fetch_parts(entry, folder, settings)
    if entry.url is None:
        raise DownloadError(f"{entry.name} has no address to fetch it from; its origin: {entry.origin}")
    return download(entry.url, folder / entry.file, entry.sha256 or sha256, settings)


def _fetch_parts(entry: ZooEntry, folder: Path, settings: FetchSettings | None) -> str:
    """Fetch a metric's backbone and heads, and keep what the metric needs of them in one file."""
    from vidsr.models import checkpoint, saving

    tensors: dict[str, Tensor] = {}
    files = [folder / f"{entry.name}.{number}.pth" for number in range(len(entry.parts))]
    for file, part in zip(files, entry.parts, strict=True):
        if not file.is_file():
            download(part.url, file, part.sha256, settings)
        found, _ = checkpoint.read_tensors(file)
        tensors |= {k: v for k, v in found.items() if k.startswith(("features.", "lin"))}
    card = {"architecture": entry.architecture, "licence": entry.licence, "origin": entry.origin}
    saving.save(folder / entry.file, tensors, card)
    for file in files:
        file.unlink()
    return checkpoint.digest(folder / entry.file)


def _persist(url: str, part: Path, settings: FetchSettings) -> None:
    """Bring ``part`` to its full length, over as many attempts as the settings allow."""
    for attempt in range(1, settings.attempts + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _attempt(url, part, settings):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code in (400, 401, 403, 404, 410, 451):
                raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error) or type(error).__name__)
        if attempt < settings.attempts:
            gained = part.exists() and part.stat().st_size > before
            time.sleep(settings.pause_seconds * (1 if gained else 2 ** (attempt - 1)))
    kept = f"; {part.stat().st_size} bytes are kept and the next call resumes from there" if part.exists() else ""
    raise DownloadError(f"{url}: {reason}, {settings.attempts} times{kept}")


def _attempt(url: str, part: Path, settings: FetchSettings) -> bool:
    """One request; true if the file is now whole as far as the server's own figures say."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"vidsr/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=settings.timeout_seconds)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing lies beyond what we have: whole if the sizes agree, otherwise the remains of something else.
        total = _total(error.headers.get("Content-Range"))
        if total == have:
            return True
        part.unlink()
        return False
    with answer:
        length = answer.headers.get("Content-Length")
        goes_on = answer.status == 206 and _start(answer.headers.get("Content-Range")) == have
        if not goes_on:
            have = 0  # the server ignores Range and sends all of it
        total = have + int(length) if length and length.isdigit() else None
        try:
            with part.open("ab" if goes_on else "wb") as file:
                settings.progress(have, total)
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    have += len(chunk)
                    settings.progress(have, total)
        except OSError as error:
            if isinstance(error, (TimeoutError, ConnectionError)):
                raise
            raise OutputError(f"{part}: cannot be written ({error.strerror or error})") from error
    return total is None or have == total


def _start(content_range: str | None) -> int | None:
    match = re.match(r"bytes (\d+)-", content_range or "")
    return int(match[1]) if match else None


def _total(content_range: str | None) -> int | None:
    match = re.match(r"bytes \*/(\d+)", content_range or "")
    return int(match[1]) if match else None
