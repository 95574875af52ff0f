"""Exported models in their own runtimes, which share no code with PyTorch; frames are float32 ``[N, 3, H, W]``.

Each also asserts that the exported model names its ``licence``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def run_onnx(path: Path, frames: np.ndarray, licence: str = "BSD-3-Clause") -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["licence"] == licence
    return np.asarray(session.run(None, {"rgb": frames})[0])


def run_openvino(path: Path, frames: np.ndarray, licence: str = "BSD-3-Clause") -> np.ndarray:
    from vidsr.models.openvino import load_openvino

    core = load_openvino().Core()
    read = core.read_model(path)
    assert read.get_rt_info(["vidsr", "licence"]).value == licence
    return np.asarray(core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(frames)[0])


def run_ncnn(path: Path, frames: np.ndarray, licence: str = "BSD-3-Clause") -> np.ndarray:
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = net.opt.use_winograd_convolution = net.opt.use_packing_layout = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.opt.num_threads = 1
    assert net.load_param(str(path)) == 0 and net.load_model(str(path.with_suffix(".bin"))) == 0
    assert json.loads(path.with_suffix(".json").read_text())["licence"] == licence
    done = []
    for frame in frames:
        with net.create_extractor() as extractor:
            extractor.input("data", ncnn.Mat(np.ascontiguousarray(frame)).clone())
            status, out = extractor.extract("output")
            assert status == 0
            done.append(np.array(out))
    return np.stack(done)


RUNTIMES = {"onnx": run_onnx, "openvino": run_openvino, "ncnn": run_ncnn}
