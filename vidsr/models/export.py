"""A model for other runtimes: ONNX, OpenVINO, ncnn.

All take one picture or a batch ``[N, 3, H, W]``, RGB in 0..1 in fp32, of any size (for models that fold pixels, a
multiple of the card's ``multiple_of``), and give ``[N, 3, H·scale, W·scale]``. With fp16, weights are stored and
computed in half precision; what goes in and out stays fp32.
"""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import fields
from pathlib import Path

from vidsr.errors import OutputError
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.ncnn_writer import to_ncnn
from vidsr.models.onnx_writer import to_onnx
from vidsr.models.openvino import load_openvino
from vidsr.models.saving import AtomicFile

#: format → suffix of the file that is named, and of those beside it.
FORMATS: dict[str, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin", ".json"),
}


def export(model: LoadedModel, target: Path, to: str, *, half: bool = False) -> list[Path]:
    """Write ``model`` for another runtime; the paths of the files written. Existing files are replaced.

    Raises:
        MissingExtraError: the format's own library is not installed.
        OutputError: the folder cannot be written.
    """
    paths = [target.with_suffix(suffix) for suffix in FORMATS[to]]
    if not target.parent.is_dir():
        raise OutputError(f"{target}: the folder {target.parent} does not exist")
    card = model_card(model, half)
    if to == "ncnn":
        param, binary = to_ncnn(model.network, half)
        contents = [param.encode(), binary, json.dumps(card, indent=2).encode()]
    elif to == "onnx":
        contents = [to_onnx(model.network, card, half)]
    else:
        contents = list(_openvino_bytes(to_onnx(model.network, card, half=False), card, half))
    # The file that names the model comes last: a reader that sees it finds the others.
    for path, content in reversed(list(zip(paths, contents, strict=True))):
        with AtomicFile(path) as file:
            file.write(content)
    return paths


def model_card(model: LoadedModel, half: bool) -> dict[str, str]:
    """What an exported file says about itself."""
    values = {f.name: getattr(model.config, f.name) for f in fields(model.config)}
    return (
        model.card
        | {"architecture": model.architecture}
        | {name: str(value) for name, value in values.items() if value is not None}
        | {
            "source": model.path.name,
            "source_sha256": model.sha256,
            "weights": "fp16" if half else "fp32",
            "input": "RGB in 0..1, NCHW, fp32",
            "multiple_of": str(getattr(model.config, "unshuffle", 1)),
        }
    )


def _openvino_bytes(onnx_model: bytes, card: dict[str, str], half: bool) -> tuple[bytes, bytes]:
    openvino = load_openvino()
    model = openvino.Core().read_model(io.BytesIO(onnx_model))
    for key, value in card.items():
        model.set_rt_info(value, ["vidsr", key])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.xml"
        openvino.save_model(model, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
