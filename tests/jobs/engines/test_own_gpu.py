"""Each worker process sees its own GPU only; the user reads the names that the user gave."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vidsr.inference import device as devices
from vidsr.jobs.engines.engine import Slot
from vidsr.jobs.engines.local_processes import LocalEngine
from vidsr.jobs.engines.own_gpu import gpu_alone
from vidsr.jobs.messages import Failed, Made, News, Order, Remark, Task
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.job_folders import WORKERS_LOG_NAME
from vidsr.jobs.state.segments import Segment

CUDA, HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("device", "set_before", "seen"),
    [
        ("cuda:1", {}, {CUDA: "1"}),
        ("cuda", {}, {CUDA: "0"}),
        ("cuda:1", {CUDA: "3, 5"}, {CUDA: "5"}),
        ("cuda:0", {CUDA: "GPU-8932f937-d72c,GPU-1a2b3c4d-55aa"}, {CUDA: "GPU-8932f937-d72c"}),
        ("cuda:1", {CUDA: "MIG-40f0,MIG-77ab"}, {CUDA: "MIG-77ab"}),
        ("cuda:2", {CUDA: "0,1"}, None),
        ("cuda:0", {CUDA: ""}, None),
        ("cuda:1", {CUDA: "0,-1,1"}, None),
        ("cpu", {}, None),
        ("auto", {}, None),
        ("mps", {}, None),
    ],
)
def test_the_worker_sees_the_entry_that_the_user_means(
    device: str, set_before: dict[str, str], seen: dict[str, str] | None
) -> None:
    kept = {"PATH": "/bin"}
    found = gpu_alone(device, kept | set_before)
    assert found == (None if seen is None else kept | seen)


def test_rocm_reads_its_own_variable_first() -> None:
    assert gpu_alone("cuda:1", {}, rocm=True) == {HIP: "1"}
    assert gpu_alone("cuda:1", {CUDA: "4,6"}, rocm=True) == {HIP: "6"}
    assert gpu_alone("cuda:1", {CUDA: "4,6", HIP: "7,2"}, rocm=True) == {HIP: "2"}


ECHO = """
import json, os, sys
start = json.loads(sys.stdin.readline())
seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")}
print("a library's line", file=sys.stderr, flush=True)
print(json.dumps({"news": "Ready", "encoder": "e"}), flush=True)
for line in sys.stdin:
    number = json.loads(line)["segment"]["number"]
    print(json.dumps({"news": "Remark", "text": f"{start['device']} {seen}", "warning": False}), flush=True)
    if number == 1:
        text = "out of memory on cuda:0: a 9xcuda:00 frame"
        print(json.dumps({"news": "Failed", "number": 1, "kind": "InferenceError", "message": text}), flush=True)
        continue
    finished = {"frames": 1, "size": 1, "blake2": "", "seconds": 1.0, "device": start["device"]}
    print(json.dumps({"news": "Made", "number": number, "finished": finished}), flush=True)
"""


def heard_from(slots: list[Slot], folder: Path) -> list[News]:
    heard: list[News] = []
    task = Task(job="j", source="s", folder=str(folder), options={}, model_sha256="", encoder="e", encoder_threads=1)
    engine = LocalEngine(task, slots, command=(sys.executable, "-c", ECHO))
    engine.run([Order(segment=Segment(number=n, start=n, stop=n + 1)) for n in range(2)], Stop(), heard.append)
    return heard


def test_messages_name_the_users_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CUDA, "2,GPU-8932f937")
    heard = heard_from([Slot(device="cuda:1"), Slot(device="cuda:1")], tmp_path)
    said = [n.text for n in heard if isinstance(n, Remark)]
    assert said == [f"cuda:1 {{'{CUDA}': 'GPU-8932f937', '{HIP}': None}}"] * 2
    assert [n.finished.device for n in heard if isinstance(n, Made)] == ["cuda:1"]
    assert [n.message for n in heard if isinstance(n, Failed)] == ["out of memory on cuda:1: a 9xcuda:00 frame"]
    log = (tmp_path / WORKERS_LOG_NAME).read_text()
    assert "worker 0 (cuda:1): from here on the log calls cuda:1 cuda:0\n" in log


def test_a_rocm_worker_gets_hips_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "is_rocm", lambda: True)
    monkeypatch.delenv(CUDA, raising=False)
    heard = heard_from([Slot(device="cuda:1"), Slot(device="cuda:1")], tmp_path)
    said = {n.text for n in heard if isinstance(n, Remark)}
    assert said == {f"cuda:1 {{'{CUDA}': None, '{HIP}': '1'}}"}
