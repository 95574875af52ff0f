"""How much memory this process may still take, how much it has taken at most, and giving back what it freed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

#: A limit of control groups version 1 above this stands for "none" (it is the largest whole number of pages).
_NO_LIMIT = 1 << 60
_ROOT = Path("/")


def available_bytes(root: Path = _ROOT) -> int | None:
    """Memory that this process may still take: what the system has available, or less where a control group (a
    container, a systemd slice, a batch job) sets a limit; None where the system does not say."""
    found = [value for value in (_meminfo(root), *_group_rooms(root)) if value is not None]
    return min(found) if found else None


def peak_bytes() -> int:
    """The most memory this process has had so far; 0 where the system does not say.

    Not by ``ru_maxrss`` on Linux: that begins at the peak of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        try:
            import resource
        except ImportError:  # Windows
            return 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else 0


def give_back_free_memory() -> None:
    """Return what was freed in this process to the system, where the C library has a call for it (glibc).

    Each thread takes memory from an area of its own, so what one thread freed is of no use to the next.
    """
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def _meminfo(root: Path, name: str = "MemAvailable") -> int | None:
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else None


def limit_bytes(root: Path = _ROOT) -> int | None:
    """The smallest memory limit of the control groups that this process belongs to; None where there is none."""
    limits = [_limit(folder, name) for folder, (name, _, _) in _groups(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def total_bytes(root: Path = _ROOT) -> int | None:
    """Memory that this machine has, whatever control groups allow; None where the system does not say."""
    return _meminfo(root, "MemTotal")


def _group_rooms(root: Path) -> Iterator[int | None]:
    """What is left in each control group that this process belongs to, from its own to the outermost."""
    for folder, names in _groups(root):
        yield _room(folder, *names)


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The control groups that this process belongs to, from its own to the outermost, each with the names of its
    files for limit and use, and of the file cache in its statistics.

    Lines of /proc/self/cgroup: ``0::PATH`` in version 2, ``N:memory:PATH`` in version 1 (cgroups(7)).
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = top / path.lstrip("/")
        # A container may see only its own group, as the top, and the path of it outside.
        for folder in dict.fromkeys((own, *own.parents, top)):
            if folder == top or top in folder.parents:
                yield folder, names


def _room(folder: Path, limit_name: str, used_name: str, cache_name: str) -> int | None:
    """Bytes up to the limit of one group; file cache that the kernel can drop at once counts as free."""
    try:
        limit = _limit(folder, limit_name)
        used = int((folder / used_name).read_text())
        cached = re.search(rf"^{cache_name} (\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return None if limit is None else max(0, limit - used + (int(cached.group(1)) if cached else 0))


def _limit(folder: Path, name: str) -> int | None:
    try:
        limit = (folder / name).read_text().strip()
        return None if limit == "max" or int(limit) >= _NO_LIMIT else int(limit)
    except (OSError, ValueError):
        return None
