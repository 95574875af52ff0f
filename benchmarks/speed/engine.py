"""One engine, one model, some frames: prints the seconds of each step as JSON. Called by peers.py in its environments.

python engine.py ENGINE MODEL FRAMES.npy ROUNDS THREADS [NCNN_FOLDER]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def vidsr(model: str, frames: Array, backend: str = "auto") -> Callable[[Array], Any]:
    """vidsr's own choice for this machine, or one of its backends."""
    import torch

    from vidsr.inference.upscaler import Upscaler
    from vidsr.options.enhance_options import ModelOptions

    upscaler = Upscaler(ModelOptions(model=model, backend=backend))
    run = upscaler.fitted.backend
    print(f"backend {run.name}, {upscaler.precision}, {upscaler.device}", file=sys.stderr)

    @torch.inference_mode()
    def step(x: Array) -> Any:
        return run(torch.from_numpy(x)).numpy()

    return step


def eager(model: str, frames: Array) -> Callable[[Array], Any]:
    """The plain network in PyTorch, fp32, NCHW: what most tools run on a CPU."""
    import torch

    from vidsr.models.zoo import load_model

    network = load_model(model).network

    @torch.inference_mode()
    def step(x: Array) -> Any:
        return network(torch.from_numpy(x)).numpy()

    return step


def openvino(model: str, frames: Array) -> Callable[[Array], Any]:
    """OpenVINO's CPU plugin with its default settings; it chooses bf16 by itself where the CPU has it."""
    import torch

    from vidsr.models.openvino import load_openvino
    from vidsr.models.zoo import load_model

    ov = load_openvino()
    with torch.no_grad():
        shape = [1, *frames.shape[1:]]
        converted = ov.convert_model(load_model(model).network, example_input=torch.zeros(shape), input=[shape])
    settings = {"INFERENCE_NUM_THREADS": int(sys.argv[5])}
    request = ov.Core().compile_model(converted, "CPU", settings).create_infer_request()
    return lambda x: request.infer([x])[0]


def onnxruntime(model: str, frames: Array) -> Callable[[Array], Any]:
    """onnxruntime's CPU provider, all graph optimisations, static shape."""
    import tempfile

    import onnxruntime as ort
    import torch

    from vidsr.models.zoo import load_model

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = int(sys.argv[5])
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / "model.onnx")
        example = torch.zeros(1, *frames.shape[1:])
        torch.onnx.export(load_model(model).network, (example,), path, dynamo=False, opset_version=17)
        session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


NCNN_FILES = {
    "realesrgan-x4plus": "realesrgan-x4plus",
    "realesrgan-x4plus-anime-6B": "realesrgan-x4plus-anime",
    "realesr-animevideov3": "realesr-animevideov3-x4",
}


def ncnn(model: str, frames: Array) -> Callable[[Array], Any]:
    """ncnn on the CPU with its default optimisations."""
    import ncnn as engine

    net = engine.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = int(sys.argv[5])
    stem = Path(sys.argv[6]) / NCNN_FILES[model]
    net.load_param(f"{stem}.param")
    net.load_model(f"{stem}.bin")

    def step(x: Array) -> Any:
        extractor = net.create_extractor()
        extractor.input("data", engine.Mat(np.ascontiguousarray(x[0])).clone())
        return np.array(extractor.extract("output")[1])[None]

    return step


ENGINES: dict[str, Callable[[str, Array], Callable[[Array], Any]]] = {
    "vidsr": vidsr,
    "vidsr-torch": lambda model, frames: vidsr(model, frames, "torch"),
    "eager": eager,
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "ncnn": ncnn,
}


def main() -> None:
    """Time one engine."""
    name, model, frames, rounds, threads = sys.argv[1:6]
    os.environ["OMP_NUM_THREADS"] = threads
    import torch

    torch.set_num_threads(int(threads))
    pictures: Array = np.load(frames)
    begin = time.perf_counter()
    step = ENGINES[name](model, pictures)
    result = step(pictures[:1])
    start_up = time.perf_counter() - begin
    seconds, cpu = [], []
    for number in range(int(rounds)):
        wall, used = time.perf_counter(), time.process_time()
        step(pictures[number % len(pictures)][None])
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    mean = float(np.asarray(result, dtype=np.float64).mean())
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "start_up_seconds": start_up, "mean": mean}))


if __name__ == "__main__":
    main()
