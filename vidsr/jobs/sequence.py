"""Numbered pictures as the result of a job: which files it makes, and how they get their final names.

The work itself is that of any job. Its segments hold finished picture files; at the end these are unpacked into the
job folder, verified there, and renamed one after the other. See docs/decisions/038-numbered-pictures.md.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vidsr.errors import OutputError
from vidsr.jobs.job import Job, first_number, source_unchanged
from vidsr.jobs.state import job_folders
from vidsr.media import image_sequence
from vidsr.media.check.verify_pictures import TIMES_NAME, PictureExpectation, times_text, verify_pictures
from vidsr.media.check.verify_report import VerifyReport
from vidsr.media.pictures.dpx import DpxHeaders, stamp
from vidsr.media.pictures.frame_files import unpack
from vidsr.storage import os_errors, sampled_digest, sync_folder, write_atomically


class PictureAssembly:
    """How the segments of a job become numbered pictures; see :class:`vidsr.jobs.finish.Assembly`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._output = job.order.output
        self._staging = job.folder / f"{job_folders.RESULT_STEM}pictures"
        self._first = first_number(job.order.recipe.stored, job.order.options)

    def build(self) -> None:
        """Unpack the pictures of all segments into the job folder, with the list of their times."""
        with os_errors("making", self._staging):
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir()
        source_unchanged(self._job)
        for segment, path in zip(self._job.manifest.segments(), self._job.segment_paths(), strict=True):
            numbers = range(segment.start - self._job.manifest.first, segment.stop - self._job.manifest.first)
            unpack(path, [self._staged(number) for number in numbers])
        if self._output.suffix.lower() == ".dpx":
            self._stamp()
        write_atomically(self._staging / TIMES_NAME, times_text(self._job.index).encode())

    def _stamp(self) -> None:
        """Give every DPX picture its timecode and the other fields of its header."""
        recipe = self._job.order.recipe
        kept = not recipe.options.restore.reshaping()
        headers = DpxHeaders.for_source(recipe.shaped, sar=recipe.settings.sar, one_to_one=kept)
        for number in range(self._job.manifest.frames):
            path = self._staged(number)
            with os_errors("writing the header of", path):
                stamp(path, headers.of(self._job.manifest.first + number), path.name)

    def prove(self) -> VerifyReport:
        """Decode every picture and compare it with what was planned."""
        recipe = self._job.order.recipe
        assert recipe.picture is not None
        expectation = PictureExpectation(
            size=recipe.size, depth=recipe.picture.depth, alpha=recipe.picture.format.alpha, first=self._first
        )
        return verify_pictures(recipe.shaped, self._staging / self._output.name, self._job.index, expectation)

    def size_bytes(self) -> int:
        """Bytes of all pictures."""
        return sum(path.stat().st_size for path in self._present())

    def fingerprint(self) -> str:
        """A digest of all pictures, wherever each is on its way from the job folder to its name; empty if one is
        missing."""
        whole = hashlib.blake2b(digest_size=32)
        count = 0
        for path in self._present():
            whole.update(sampled_digest(path).encode())
            count += 1
        return whole.hexdigest() if count == self._job.manifest.frames else ""

    def publish(self) -> None:
        """Rename every picture to its final name. A rename that an earlier run did is not repeated.

        Raises:
            OutputError: another file has one of the names and ``--overwrite`` was not given; nothing is renamed then.
        """
        staged = [number for number in range(self._job.manifest.frames) if self._staged(number).exists()]
        if not self._job.order.options.output.overwrite:
            for number in staged:
                final = self._final(number)
                if final.exists() and sampled_digest(final) != sampled_digest(self._staged(number)):
                    raise OutputError(f"{final} was created by something else meanwhile; use --overwrite to replace it")
        with os_errors("renaming the result to", self._output):
            for number in staged:
                os.replace(self._staged(number), self._final(number))  # noqa: PTH105 - both names in sight
            times = self._staging / TIMES_NAME
            if times.exists():
                times.replace(self._output.with_name(TIMES_NAME))
            sync_folder(self._output.parent)
            shutil.rmtree(self._staging, ignore_errors=True)

    def notes(self) -> Iterator[str]:
        """What the user should know of the files."""
        yield f"frame times are in {TIMES_NAME} next to the pictures"
        beyond = image_sequence.name_of(self._output, self._first + self._job.manifest.frames)
        if beyond.exists():
            yield f"{beyond} and any after it are not of this result, which ends before them"

    def _present(self) -> Iterator[Path]:
        for number in range(self._job.manifest.frames):
            path = next((p for p in (self._staged(number), self._final(number)) if p.is_file()), None)
            if path is not None:
                yield path

    def _staged(self, number: int) -> Path:
        return self._staging / self._final(number).name

    def _final(self, number: int) -> Path:
        return image_sequence.name_of(self._output, self._first + number)
