"""OpenVINO, imported without its telemetry, which otherwise reports every import to Intel."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from vidsr.errors import MissingExtraError


def load_openvino() -> Any:
    """The ``openvino`` module, with its telemetry package kept out (its own stub takes that place).

    Raises:
        MissingExtraError: it is not installed.
    """
    if "openvino" not in sys.modules:
        # None in sys.modules makes an import fail; openvino then falls back to its stub.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtraError("OpenVINO is not installed: pip install 'vidsr-esrgan[openvino]'") from error
