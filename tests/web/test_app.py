"""The HTTP API as a program uses it; and against its own description, by schemathesis."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.clips import ClipFactory
from tests.support.web import end_jobs, server
from vidsr.jobs.state.lock import lock_owner

httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed")

QUICK = {"model": "realesr-animevideov3", "scale": 2, "provenance": True, "invention": "json"}
#: Of the clip "film", which is 96x54.
FRAMES = 16


def client_of(address: str) -> Any:
    return httpx.Client(base_url=f"{address}/api/v1", timeout=processes.LIMIT_SECONDS)


def wait(client: Any, path: str, states: tuple[str, ...]) -> dict[str, object]:
    told: dict[str, object] = {}

    def reached() -> bool:
        told.update(client.get(path).json())
        return told["state"] in states

    processes.wait_until(reached, f"{path} is one of {states}", every_seconds=0.05)
    return told


def wait_for_report(client: Any, job: str) -> Any:
    answers: list[Any] = []

    def made() -> bool:
        answers.append(client.get(f"{job}/comparison"))
        return answers[-1].status_code != 202

    processes.wait_until(made, "the comparison is there", every_seconds=0.05)
    for answer in answers[:-1]:
        assert "is being compared with its source" in answer.text and answer.headers["refresh"]
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1]


@pytest.fixture(scope="module")
def served(clips: ClipFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder of three clips and a file that is none, and the address of the server that serves it."""
    folder = tmp_path_factory.mktemp("served")
    root, state = folder / "films", folder / "state"
    root.mkdir()
    for name in ("clip", "looked at", "killed"):
        shutil.copy(clips("film"), root / f"{name}.mp4")
    (root / "text.mp4").write_text("no video")
    try:
        with server(root, state) as address:
            yield root, address
    finally:
        end_jobs(state)


@pytest.mark.long
def test_submit_watch_fetch(served: tuple[Path, str]) -> None:
    root, address = served
    with client_of(address) as client:
        made = client.post("/jobs", json={"source": "clip.mp4", "options": QUICK})
        assert made.status_code == 201
        job = f"/jobs/{made.json()['id']}"
        assert client.get(f"{job}/result").status_code == 404
        assert client.get(f"{job}/comparison").status_code == 404
        assert client.get(f"{job}/thumbnail.jpg").status_code in (200, 204)
        done = wait(client, job, ("done", "failed"))
        assert done["state"] == "done", done
        assert done["frames"] == done["total_frames"] == FRAMES
        events = client.get(f"{job}/events").json()
        assert events["events"] and client.get(f"{job}/events", params={"after": events["next"]}).json()["events"] == []
        whole = client.get(f"{job}/result").content
        assert whole == (root / str(done["output"])).read_bytes()
        part = client.get(f"{job}/result", headers={"range": "bytes=10-19"})
        assert part.status_code == 206 and part.content == whole[10:20]
        assert client.get(f"{job}/report").json()["schema"] == "vidsr-provenance/1"
        assert done["can_compare"] is True
        report = wait_for_report(client, job)
        assert "sandbox allow-scripts" in report.headers["content-security-policy"]
        assert '"psnr"' in report.text and "clip.mp4" in report.text and str(root) not in report.text
        assert "What was invented" in report.text and report.text.count("data:image/png") > 0
        for what in ("pause", "resume"):
            assert client.post(f"{job}/{what}").status_code == 409
        again = client.post("/jobs", json={"source": "clip.mp4", "options": QUICK}).json()
        failed = wait(client, f"/jobs/{again['id']}", ("done", "failed"))
        assert failed["state"] == "failed" and "--overwrite" in str(failed["error"])
        assert client.delete(f"/jobs/{again['id']}").status_code == 204
        (root / "clip.mp4").rename(root / "away.mp4")
        assert client.get(f"{job}/comparison").status_code == 200, "made once and kept"
        jobs = [job for job in client.get("/jobs").json() if "clip.mp4" in str(job["source"])]
        assert [f"/jobs/{each['id']}" for each in jobs] == [job]


@pytest.mark.long
def test_a_killed_worker_leaves_a_job_to_resume(served: tuple[Path, str]) -> None:
    root, address = served
    with client_of(address) as client:
        job = f"/jobs/{client.post('/jobs', json={'source': 'killed.mp4', 'options': QUICK}).json()['id']}"
        folder = root.parent / "state" / "web" / job.rsplit("/", maxsplit=1)[-1]
        wait(client, job, ("running",))
        processes.wait_until(lambda: lock_owner(folder) is not None, "the worker has locked the job")
        owner = lock_owner(folder)
        assert owner is not None
        os.kill(owner[0], 9)
        assert wait(client, job, ("paused",))["state"] == "paused"
        assert client.post(f"{job}/resume").status_code == 200
        assert wait(client, job, ("done", "failed"))["state"] == "done"


@pytest.mark.long
def test_looking_and_trying(served: tuple[Path, str]) -> None:
    root, address = served
    looked_at = "looked at.mp4"
    with client_of(address) as client:
        frame = client.get("/frame.jpg", params={"path": looked_at, "at_seconds": 0.4})
        assert frame.headers["content-type"] == "image/jpeg" and frame.content[:2] == b"\xff\xd8"
        assert frame.content != client.get("/frame.jpg", params={"path": looked_at}).content
        found = client.get("/findings", params={"path": looked_at}).json()
        assert found["sentences"][0].startswith("scan: ") and found["recommended"] == {}
        for what in ("frame.jpg", "findings", "inspect"):
            assert client.get(f"/{what}", params={"path": "text.mp4"}).status_code == 422
            assert client.get(f"/{what}", params={"path": "none.mp4"}).status_code == 404
        made = client.post("/estimates", json={"source": looked_at, "options": {"model": QUICK["model"], "scale": 2}})
        assert made.status_code == 201
        told = wait(client, f"/estimates/{made.json()['id']}", ("done", "failed"))
        assert told["state"] == "done" and told["frames"] == FRAMES and (told["width"], told["height"]) == (192, 108)
        assert told["seconds"] > 0 and told["result_bytes"] > 1000  # type: ignore[operator]
        assert any("enhanced to h264" in line for line in told["lines"])  # type: ignore[attr-defined]
        (root / "many").mkdir()
        shutil.copy(root / looked_at, root / "many" / "good.mp4")
        shutil.copy(root / "text.mp4", root / "many" / "text.mp4")
        (root / "many" / "link.mp4").symlink_to(root.parent / "outside.mp4")
        shutil.copy(root / looked_at, root.parent / "outside.mp4")
        for path in (root / "many").iterdir():
            os.utime(path, (1_000_000_000, 1_000_000_000))
        whole = client.post(
            "/estimates", json={"source": "many", "output": "out", "options": {"model": QUICK["model"]}}
        )
        told = wait(client, f"/estimates/{whole.json()['id']}", ("done", "failed"))
        assert told["state"] == "done" and told["frames"] == FRAMES and str(root) not in str(told)
        lines: Any = told["lines"]
        assert any(line.startswith("enhance  good.mp4 → out/good.mp4 (16 frames, about") for line in lines), lines
        assert "refused  link.mp4: leads out of the served folders" in lines
        assert any(line.startswith("refused  text.mp4: ") for line in lines)
        (root / "parts.csv").write_text("from,to,name\n,0.25,begin\n0.25,,end\n")
        parts = {"source": looked_at, "output": "parts", "spans": "parts.csv", "options": QUICK}
        foreseen = client.post("/estimates", json={k: v for k, v in parts.items() if k != "output"}).json()
        told = wait(client, f"/estimates/{foreseen['id']}", ("done", "failed"))
        assert (told["state"], told["frames"]) == ("done", FRAMES), told
        job = client.post("/jobs", json=parts)
        assert job.status_code == 201, job.text
        told = wait(client, f"/jobs/{job.json()['id']}", ("done", "failed"))
        assert told["state"] == "done" and told["result"]["counts"] == {"done": 2}  # type: ignore[index]
        assert sorted(p.name for p in (root / "parts").glob("*.mp4")) == ["begin.mp4", "end.mp4"]
        assert client.post("/jobs", json=parts | {"spans": "../parts.csv"}).status_code == 404
        assert client.post("/jobs", json=parts | {"source": "many"}).status_code == 422
        failed = client.post("/estimates", json={"source": "text.mp4"}).json()
        told = wait(client, f"/estimates/{failed['id']}", ("done", "failed"))
        assert told["state"] == "failed" and str(root) not in str(told["error"])


@pytest.mark.parametrize("phase", ["examples,coverage", pytest.param("fuzzing", marks=pytest.mark.slow)])
@pytest.mark.long
def test_schemathesis_finds_nothing(tmp_path: Path, phase: str) -> None:
    """Every answer to generated requests, good and bad, is one that the description promises; none is a 5xx."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    root = tmp_path / "films"
    root.mkdir()
    with server(root, tmp_path / "state") as address:
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
        command += [f"{address}/openapi.json", "--phases", phase, "--max-examples", "15", "--seed", "1"]
        command += ["--generation-database", "none", "--no-color"]
        # These doubt choices, not answers: what a header or an odd body must not be accepted with.
        command += ["--exclude-checks", "unsupported_method,positive_data_acceptance"]
        done = processes.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "No issues found" in done.stdout or "passed" in done.stdout
