"""Whether a machine has what ``--multiframe`` takes: its network's weights, and memory for its windows of frames, by
arithmetic.

The decision is made once for a job, before the work, and kept in its manifest, so that a result does not depend on what
a machine has when a job is resumed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from vidsr.errors import JobError, OptionsError
from vidsr.filters.after.propagation import REACH, WINDOW, kept_bytes_per_pixel
from vidsr.inference.device import DTYPES, choose_device, choose_precision, free_bytes
from vidsr.inference.oom_ladder import MEMORY_SHARE
from vidsr.inference.recurrent import recurrent_bytes
from vidsr.jobs.engines.engine import choose_slots
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.state.manifest import MANIFEST_NAME, Manifest
from vidsr.models.architectures.basicvsr import BasicVSRConfig
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import RECURRENT_MODEL, ZOO, locate
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import human_bytes

#: fp32 pictures of the result's size while results are mixed: of three frames as drawn, held to the source and from the
#: recurrent network, and those under way.
_RESULTS = 12
_WINDOWS = "its windows"
_BEGUN_WITHOUT = "the job was begun without it"
#: Planes of a source frame on the host, in bytes per pixel: 8 bits in 4:4:4, or 16 in 4:2:0.
_PLANES = 3


def window_bytes(
    source: tuple[int, int], result: tuple[int, int], device: torch.device, precision: str, *, cleaned: bool
) -> int:
    """Memory for windows of frames, on the device.

    Args:
        source: (width, height) of the frames that enter the network.
        result: those of the frames that leave it.
        device: where it computes, with numbers of ``precision``.
        cleaned: noise may be removed from a copy of the frames first.
    """
    config, pixels = BasicVSRConfig(), source[0] * source[1]
    kept = kept_bytes_per_pixel(config.num_feat, cleaned=cleaned)
    if device.type == "cpu":
        kept += _PLANES * (WINDOW + 2 * REACH)
    mixed = 4 * 3 * _RESULTS * result[0] * result[1]
    return kept * pixels + recurrent_bytes(config, device, DTYPES[precision], source) + mixed


def lack_of_memory(
    options: EnhanceOptions, source: tuple[int, int], result: tuple[int, int], *, half: bool, results: int = 1
) -> str:
    """Why this machine has too little memory for ``--multiframe auto``; "" if it has enough, or the option is off.

    What it has is only known here: a Ray cluster is not asked.

    Args:
        options: of the job, with every choice made.
        source: (width, height) of the frames that enter the network.
        result: those of the frames that leave it.
        half: whether the network's values stay in the range of fp16.
        results: how many are made at once, each with windows of its own.

    Raises:
        OptionsError: a share was given as a number, and there is too little memory for it.
    """
    share = options.restore.multiframe
    if share == 0 or options.jobs.engine == "ray":
        return ""
    for device, workers in _workers(options).items():
        chosen = choose_device(device)
        precision = choose_precision(options.model.precision, chosen, half=half)
        need = window_bytes(source, result, chosen, precision, cleaned=share is None) * results * workers
        free = free_bytes(chosen)
        if need > MEMORY_SHARE * free:
            wide, high = source
            reason = (
                f"{_WINDOWS} of frames of {wide}x{high} take {human_bytes(need)}"
                + (f" for {workers} workers" if workers > 1 else "")
                + f", which needs {human_bytes(round(need / MEMORY_SHARE))} of free memory on {chosen}; "
                f"{human_bytes(free)} are free"
            )
            if share is None:
                return reason
            raise OptionsError(
                f"--multiframe {share:g}: {reason}. Close other programs"
                + (", take fewer --workers," if workers > 1 else "")
                + " or use --multiframe off; --multiframe auto leaves neighbouring frames out where they do not fit"
            )
    return ""


def _workers(options: EnhanceOptions) -> Counter[str]:
    """How many workers share each device."""
    return Counter(slot.device for slot in choose_slots(options, torch.cuda.device_count()))


def with_memory_checked(recipe: Recipe) -> Recipe:
    """The recipe, without ``--multiframe auto`` where its weights are missing or there is too little memory for it.

    Raises:
        OptionsError: as :func:`lack_of_memory`.
    """
    if recipe.options.restore.multiframe is None and locate(ZOO[RECURRENT_MODEL]) is None:
        return _decided(recipe, f"its model {RECURRENT_MODEL}, which comes with vidsr, is not on this machine")
    video, half = recipe.shaped.video, architecture_of(recipe.model.network).half
    results = 1 if recipe.master is None else 2
    lack = lack_of_memory(recipe.options, (video.width, video.height), recipe.size, half=half, results=results)
    return _decided(recipe, lack)


def as_begun(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the decision about ``--multiframe auto`` that an interrupted job in ``folder`` was begun with.

    One that was begun without the option, whose default was off once, goes on without it.
    """
    if recipe.options.jobs.restart or not (folder / MANIFEST_NAME).is_file():
        return recipe
    if recipe.options.restore.multiframe is not None and not recipe.no_memory:
        return recipe  # it was not left to the machine
    try:
        begun = Manifest.load(folder)
        options = EnhanceOptions.from_json(begun.options)
    except (JobError, OptionsError):
        return recipe  # opening the job reports what is wrong
    if options.restore.multiframe == 0 and not begun.no_memory:
        return _decided(recipe, _BEGUN_WITHOUT)
    return _decided(recipe, begun.no_memory)


def _decided(recipe: Recipe, no_memory: str) -> Recipe:
    """The recipe with ``--multiframe auto`` left out because of what the machine lacks, or left in where that is
    nothing."""
    if no_memory == recipe.no_memory:
        return recipe
    restore = replace(recipe.options.restore, multiframe=0.0 if no_memory else None)
    notes = tuple(note for note in recipe.notes if note != _note(recipe.no_memory))
    return replace(
        recipe,
        options=replace(recipe.options, restore=restore),
        master=None if recipe.master is None else _decided(recipe.master, no_memory),
        notes=(*notes, _note(no_memory)) if no_memory else notes,
        no_memory=no_memory,
    )


def _note(no_memory: str) -> str:
    closing = "close other programs and " if no_memory.startswith(_WINDOWS) else ""
    return f"--multiframe auto: left out, {no_memory}; {closing}use --restart to have it"
