"""vidsr: enlarge and restore video with ESRGAN, keeping its sound, subtitles, timing and colour.

>>> from vidsr import enhance
>>> enhance("clip.mp4", scale=4)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Name → module. Loaded on first use, so that `import vidsr` costs nothing.
_EXPORTS = {
    "enhance": "vidsr.jobs.enhance",
    "Upscaler": "vidsr.inference.upscaler",
    "VidsrError": "vidsr.errors",
}
__all__ = ["Upscaler", "VidsrError", "__version__", "enhance"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vidsr' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
