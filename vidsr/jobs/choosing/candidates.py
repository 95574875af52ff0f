"""What may be chosen: models in the order of their quality, for drawings and for camera footage.

The orders are those of LPIPS in docs/decisions/072-the-model-by-itself.md; a model that is slower than one of better
quality has no place in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from vidsr.jobs.recipe.restoration_plan import AUTO_MULTIFRAME_MODELS
from vidsr.options.enhance_options import AUTO_MODEL, DEFAULT_MODEL, EnhanceOptions
from vidsr.options.restore_options import RestoreOptions

SourceKind = Literal["drawings", "camera footage"]

#: What ``--model auto`` takes where time does not matter.
BY_KIND: dict[SourceKind, str] = {"drawings": "realesrgan-x4plus-anime-6B", "camera footage": DEFAULT_MODEL}
#: Best first.
_LADDERS: dict[SourceKind, tuple[str, ...]] = {
    "drawings": (DEFAULT_MODEL, "realesrgan-x4plus-anime-6B", "realesr-general-x4v3", "realesr-animevideov3"),
    "camera footage": (DEFAULT_MODEL, "realesr-general-x4v3", "realesr-animevideov3"),
}


def is_open(options: EnhanceOptions) -> bool:
    """Whether ``--within`` may choose the model: one that was named stays."""
    return options.model.model in (AUTO_MODEL, DEFAULT_MODEL)


def with_model(options: EnhanceOptions, name: str) -> EnhanceOptions:
    """``options`` with this model."""
    return replace(options, model=replace(options.model, model=name))


def ladder(options: EnhanceOptions, kind: SourceKind, *, judged: bool) -> Iterator[EnhanceOptions]:
    """What ``--within`` may take, best first: each model with the steps that were asked for, without neighbouring
    frames, and at last the fastest without the steps that only came by default. Of a source whose frames are not
    ``judged`` ``--multiframe auto`` takes no neighbouring frames that could be left out."""
    names = _LADDERS[kind] if is_open(options) else (options.model.model,)
    plain, own = RestoreOptions(), options.restore

    def without_neighbours(name: str) -> float | None:
        auto = own.multiframe is None and judged and name in AUTO_MULTIFRAME_MODELS
        return 0.0 if own.multiframe or auto else own.multiframe

    for name in names:
        chosen = with_model(options, name)
        yield chosen
        alone = without_neighbours(name)
        if alone != own.multiframe:
            yield replace(chosen, restore=replace(own, multiframe=alone))
    fidelity = 0.0 if own.fidelity == plain.fidelity else own.fidelity
    colour_lock = own.colour_lock and own.colour_lock != plain.colour_lock
    alone = without_neighbours(names[-1])
    last = replace(own, multiframe=alone, fidelity=fidelity, colour_lock=colour_lock)
    if last != replace(own, multiframe=alone):
        yield with_model(replace(options, restore=last), names[-1])


def described(options: EnhanceOptions, asked: EnhanceOptions) -> str:
    """A choice in words: the model, and what was left out of the steps that were asked for."""
    own, wanted = options.restore, asked.restore
    left_out = [
        *(["--multiframe"] if own.multiframe != wanted.multiframe else []),
        *(["--fidelity"] if own.fidelity != wanted.fidelity else []),
        *(["--colour-lock"] if own.colour_lock != wanted.colour_lock else []),
    ]
    return options.model.model + (f" without {' and '.join(left_out)}" if left_out else "")
