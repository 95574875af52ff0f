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

from vidsr.errors import ModelError, OutputError
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.known_architectures import architecture_of
from vidsr.models.ncnn_writer import to_ncnn
from vidsr.models.onnx_writer import to_onnx
from vidsr.models.openvino import load_openvino
from vidsr.storage import AtomicFile

#: format → suffixes of the files written, that of the one given by name first.
FORMATS: dict[str, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin", ".json"),
}


def export(model: LoadedModel, target: Path, to: str, *, half: bool = False) -> list[Path]:
    """Write ``model`` for another runtime; the paths of the files written. Existing files are replaced.

    Raises:
        MissingExtraError: the format's own library is not installed.
        ModelError: the architecture cannot be exported.
        OutputError: the folder cannot be written.
    """
    paths = [target.with_suffix(suffix) for suffix in FORMATS[to]]
    if not target.parent.is_dir():
        raise OutputError(f"{target}: the folder {target.parent} does not exist")
    describe = architecture_of(model.network).graph
    if describe is None:
        raise ModelError(f"{model.path}: models of the architecture {model.architecture} cannot be exported")
    graph, card = describe(model.network), model_card(model, half)
    if to == "ncnn":
        param, binary = to_ncnn(graph, half)
        contents = [param.encode(), binary, json.dumps(card, indent=2).encode()]
    elif to == "onnx":
        contents = [to_onnx(graph, card, half)]
    else:
        contents = list(_openvino_bytes(to_onnx(graph, card, half=False), card, half))
    # The file that names the model comes last: a reader that sees it finds the others.
    for path, content in reversed(list(zip(paths, contents, strict=True))):
        with AtomicFile(path) as file:
            file.write(content)
    return paths


def model_card(model: LoadedModel, half: bool) -> dict[str, str]:
    """The metadata of an exported file."""
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
            "multiple_of": str(architecture_of(model.network).multiple(model.network)),
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
