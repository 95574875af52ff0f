"""The HTTP API as a program uses it; and against its own description, by schemathesis."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import SAMPLE
from tests.support.web import server
from vidsr.jobs.state.lock import lock_owner

httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed")

QUICK = {"model": "realesr-animevideov3", "scale": 2, "provenance": True}


def wait(client: Any, path: str, states: tuple[str, ...]) -> dict[str, object]:
    for _ in range(1200):
        told = client.get(path).json()
        if told["state"] in states:
            return dict(told)
        time.sleep(0.1)
    raise AssertionError(f"still {told}")


def wait_for_report(client: Any, job: str) -> Any:
    for _ in range(600):
        answer = client.get(f"{job}/comparison")
        if answer.status_code != 202:
            break
        assert "is being compared with its source" in answer.text and answer.headers["refresh"]
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    return answer


def test_submit_watch_fetch(tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    shutil.copy(SAMPLE, root / "clip.mp4")
    with server(root, tmp_path / "state") as address, httpx.Client(base_url=f"{address}/api/v1") as client:
        made = client.post("/jobs", json={"source": "clip.mp4", "options": QUICK})
        assert made.status_code == 201
        job = f"/jobs/{made.json()['id']}"
        assert client.get(f"{job}/result").status_code == 404
        assert client.get(f"{job}/comparison").status_code == 404
        assert client.get(f"{job}/thumbnail.jpg").status_code in (200, 204)
        done = wait(client, job, ("done", "failed"))
        assert done["state"] == "done", done
        assert done["frames"] == done["total_frames"] == 48
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
        for what in ("pause", "resume"):
            assert client.post(f"{job}/{what}").status_code == 409
        again = client.post("/jobs", json={"source": "clip.mp4", "options": QUICK}).json()
        failed = wait(client, f"/jobs/{again['id']}", ("done", "failed"))
        assert failed["state"] == "failed" and "--overwrite" in str(failed["error"])
        assert client.delete(f"/jobs/{again['id']}").status_code == 204
        (root / "clip.mp4").rename(root / "away.mp4")
        assert client.get(f"{job}/comparison").status_code == 200, "made once and kept"
        assert len(client.get("/jobs").json()) == 1


def test_a_killed_worker_leaves_a_job_to_resume(tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    shutil.copy(SAMPLE, root / "clip.mp4")
    with server(root, tmp_path / "state") as address, httpx.Client(base_url=f"{address}/api/v1") as client:
        job = f"/jobs/{client.post('/jobs', json={'source': 'clip.mp4', 'options': QUICK}).json()['id']}"
        folder = tmp_path / "state" / "web" / job.rsplit("/", maxsplit=1)[-1]
        wait(client, job, ("running",))
        while (owner := lock_owner(folder)) is None:
            time.sleep(0.05)
        os.kill(owner[0], 9)
        assert wait(client, job, ("paused",))["state"] == "paused"
        assert client.post(f"{job}/resume").status_code == 200
        assert wait(client, job, ("done", "failed"))["state"] == "done"


def test_looking_and_trying(tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    shutil.copy(SAMPLE, root / "clip.mp4")
    (root / "text.mp4").write_text("no video")
    with server(root, tmp_path / "state") as address, httpx.Client(base_url=f"{address}/api/v1", timeout=240) as client:
        frame = client.get("/frame.jpg", params={"path": "clip.mp4", "at_seconds": 1})
        assert frame.headers["content-type"] == "image/jpeg" and frame.content[:2] == b"\xff\xd8"
        assert frame.content != client.get("/frame.jpg", params={"path": "clip.mp4"}).content
        found = client.get("/findings", params={"path": "clip.mp4"}).json()
        assert found["sentences"][0].startswith("scan: progressive") and found["recommended"] == {}
        for what in ("frame.jpg", "findings", "inspect"):
            assert client.get(f"/{what}", params={"path": "text.mp4"}).status_code == 422
            assert client.get(f"/{what}", params={"path": "none.mp4"}).status_code == 404
        made = client.post("/estimates", json={"source": "clip.mp4", "options": {"model": QUICK["model"], "scale": 2}})
        assert made.status_code == 201
        told = wait(client, f"/estimates/{made.json()['id']}", ("done", "failed"))
        assert told["state"] == "done" and told["frames"] == 48 and (told["width"], told["height"]) == (320, 180)
        assert told["seconds"] > 0 and told["result_bytes"] > 1000  # type: ignore[operator]
        assert any("enhanced to h264" in line for line in told["lines"])  # type: ignore[attr-defined]
        failed = client.post("/estimates", json={"source": "text.mp4"}).json()
        told = wait(client, f"/estimates/{failed['id']}", ("done", "failed"))
        assert told["state"] == "failed" and str(root) not in str(told["error"])


@pytest.mark.parametrize("phase", ["examples,coverage", pytest.param("fuzzing", marks=pytest.mark.slow)])
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
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=240)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "No issues found" in done.stdout or "passed" in done.stdout
