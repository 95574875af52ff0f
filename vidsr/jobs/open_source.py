"""Opening a source, and what can be refused before PyTorch is loaded, which takes longer than all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidsr.errors import OptionsError
from vidsr.jobs.disk_space import check_output
from vidsr.jobs.state.job_folders import job_folder
from vidsr.jobs.state.manifest import MANIFEST_NAME
from vidsr.media import image_sequence
from vidsr.media.pictures.dpx import rate_in, read_fields
from vidsr.media.probe import probe
from vidsr.media.source import StoredInfo
from vidsr.media.source_files import files_of
from vidsr.models.zoo import resolve
from vidsr.options.enhance_options import EnhanceOptions


def open_source(source: Path | str, options: EnhanceOptions) -> StoredInfo:
    """Probe a source.

    Raises:
        OptionsError: numbered pictures without ``--fps``, unless they are DPX and hold their rate.
        InputError: as :func:`vidsr.media.probe.probe`, or the pattern matches nothing, or a number is missing.
    """
    if not image_sequence.is_pattern(Path(source)):
        return probe(source, options.colour, options.source)
    image_sequence.find(Path(source))
    rate = Fraction(options.pictures.fps) if options.pictures.fps is not None else _stored_rate(Path(source))
    if rate is None:
        raise OptionsError("--fps: numbered pictures need a frame rate, for example --fps 24")
    info = probe(source, options.colour, options.source)
    return image_sequence.with_rate(info, rate)


def _stored_rate(pattern: Path) -> Fraction | None:
    """The frame rate that numbered DPX pictures hold; None where they hold none."""
    if pattern.suffix.lower() != ".dpx":
        return None
    return rate_in(read_fields(files_of(pattern)[0]))


def open_early(source: Path, output: Path | None, options: EnhanceOptions) -> StoredInfo:
    """Probe the source of a job, and find the weights, without loading PyTorch.

    What :func:`vidsr.jobs.job.prepare` would refuse of the output in any case, this refuses in a tenth of the time.

    Raises:
        OptionsError, InputError: as for :func:`open_source`.
        ModelError: no model has that name.
        OutputError: the output cannot or must not be written.
    """
    stored = open_source(source, options)
    resolve(options.model.model)
    if output is not None and not image_sequence.is_pattern(output):
        target = output.resolve() if output.is_symlink() else output.absolute()
        # A job that was ended after it named its result goes on from there.
        begun = (job_folder(target) / MANIFEST_NAME).is_file()
        check_output(Path(stored.path), target, overwrite=options.output.overwrite or begun)
    return stored
