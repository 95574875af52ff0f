"""A folder as people have them: videos and pictures of all kinds in folders of folders, among them broken ones and
ones that are still being written."""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.clips import picture, run_ffmpeg, tone

#: Suffix → encoder arguments. The picture differs from file to file in its size and length.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (".mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")),
    (".mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv420p", "-c:a", "flac")),
    (".avi", ("-c:v", "mpeg4", "-c:a", "mp2")),
    (".mpg", ("-c:v", "mpeg2video", "-c:a", "mp2")),
    (".ts", ("-c:v", "mpeg2video", "-c:a", "mp2")),
    (".mov", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le")),
)
_FOLDERS = ("", "tapes", "tapes/summer 1987", "Übung/größe", "🎬 films", os.fsdecode(b"not utf-8 \xff"))
_NAMES = ("holiday {0}", "Grüße {0}", "🐕 {0}", os.fsdecode(b"b\xe4nd {0}"), "it's {0}, #1 & more", "-{0}")


@dataclass
class MixedFolder:
    """The folder and what should become of its files, by their places in it."""

    root: Path
    good: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    growing: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.good) + len(self.broken) + len(self.growing) + len(self.foreign)


def make(root: Path, *, videos: int, pictures: int, broken: int, growing: int, long: int = 0) -> MixedFolder:
    """Make the folder. Two of the videos would have the same result; ``long`` of them have three segments of 16
    frames, the others fewer. Growing files are made whole; :class:`Growth` has them grow."""
    made = MixedFolder(root)
    for number in range(videos + growing):
        suffix, encoder = _KINDS[number % len(_KINDS)] if number < videos else _KINDS[4]
        name = str(Path(_FOLDERS[number % len(_FOLDERS)]) / (_NAMES[number // 2 % len(_NAMES)].format(number) + suffix))
        if number in (0, 1):  # these meet: tape.mkv twice
            suffix, encoder = _KINDS[2 + number]
            name = f"tapes/tape{suffix}"
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = 3.0 if number >= videos - long else 0.5 + number % 5 / 8
        size = f"{32 + 4 * (number % 4)}x{24 + 4 * (number // 4 % 4)}"
        # By another name: a name that begins with "-" would be an option of ffmpeg.
        scratch = path.with_name(f"made{suffix}")
        run_ffmpeg(*picture(size, "16" if suffix not in (".mpg", ".ts") else "24", seconds), *tone(seconds), *encoder,
                   str(scratch))  # fmt: skip
        scratch.rename(path)
        (made.good if number < videos else made.growing).append(str(path.relative_to(root)))
    for number in range(pictures):
        suffix = (".png", ".jpg", ".tif", ".webp", ".bmp")[number % 5]
        path = root / "stills" / f"bild ä {number}{suffix}"
        path.parent.mkdir(exist_ok=True)
        run_ffmpeg(*picture("24x16"), "-frames:v", "1", str(path))
        made.good.append(str(path.relative_to(root)))
    whole = (root / made.good[-1 - pictures]).read_bytes()
    for number in range(broken):
        path = root / "broken" / _break(root / "broken", number, whole)
        made.broken.append(str(path.relative_to(root)))
    (root / "notes.txt").write_text("these are my films")
    made.foreign.append("notes.txt")
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (1_000_000_000, 1_000_000_000))
    return made


def _break(folder: Path, number: int, whole: bytes) -> str:
    """One file that no video can be made of; its name."""
    folder.mkdir(exist_ok=True)
    noise = random.Random(number).randbytes(5000)
    kind = number % 8
    name = f"{number} {('empty', 'text', 'noise', 'no sound', 'picture', 'link', 'pipe', 'head')[kind]}"
    path = folder / (name + (".png" if kind == 4 else ".mp4"))
    if kind == 3:
        run_ffmpeg(*tone(0.5), "-c:a", "aac", str(path))
    elif kind == 5:
        path.symlink_to(folder / "nowhere.mp4")
    elif kind == 6:
        os.mkfifo(path)
    else:
        path.write_bytes({0: b"", 1: b"no video", 2: noise, 4: noise, 7: whole[:40]}[kind])
    return path.name


class Growth:
    """Files that grow while this block runs: cut in half at its beginning, a little is added every fifth of a second;
    whole at its end. Each write opens and closes the file, so that only its size and time give it away."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._whole = {path: path.read_bytes() for path in paths}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._grow)

    def __enter__(self) -> Growth:
        for path, data in self._whole.items():
            path.write_bytes(data[: len(data) // 2])
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()
        for path, data in self._whole.items():
            path.write_bytes(data)
            os.utime(path, (1_000_000_100, 1_000_000_100))

    def _grow(self) -> None:
        while not self._end.wait(0.2):
            for path, data in self._whole.items():
                size = path.stat().st_size
                if size < len(data) - 1:
                    with path.open("ab") as file:
                        file.write(data[size : size + 1])
