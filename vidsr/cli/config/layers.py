"""Option layers on the command line: saving the given options as a preset."""

from __future__ import annotations

from pathlib import Path

from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.layers import Layered
from vidsr.options.presets import save_preset


def save_layers(name: str, layers: Layered) -> Path:
    """Save the values of the command line, and of the preset that it names, as a preset; its file.

    Environment and ``vidsr.toml`` belong to a machine and to footage: they stay out.

    Raises:
        OptionsError, JobError: as :func:`vidsr.options.presets.save_preset`.
    """
    kept = {n: v for n, v in layers.values.items() if layers.origins[n].kind in ("command line", "preset")}
    return save_preset(name, kept, EnhanceOptions, overwrite=bool(layers.values.get("overwrite")))
