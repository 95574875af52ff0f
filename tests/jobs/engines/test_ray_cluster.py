"""A Ray cluster of three nodes, one of which is taken away in the middle of the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, picture
from tests.support.places import child_environment
from vidsr import enhance

SCRIPT = """
import json, sys
from ray.cluster_utils import Cluster
from vidsr import enhance

source, output, model, sharing = sys.argv[1:]
sharing = json.loads(sharing)
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
lost = []

def hear(event):
    if event.kind == "warning":
        print(event.text, flush=True)
    if event.kind == "segment" and not lost:
        lost.append(nodes[0])
        cluster.remove_node(nodes[0], allow_graceful=False)

enhance(source, output, model=model, scale=2, codec="ffv1", segment_frames=8, engine="ray", address=cluster.address,
        progress=hear, **sharing)
print("lost", len(lost), flush=True)
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sharing", [{"workers": 2, "threads": 1}, {}], ids=["one actor a node", "as Ray's nodes allow"]
)
def test_the_loss_of_a_node_is_survived(
    sharing: dict[str, int], clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    source = clips.make("long.mkv", *picture(size="96x64", seconds=5), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    enhance(source, tmp_path / "wanted.mkv", model=str(tiny_model), scale=2, codec="ffv1", segment_frames=8)
    arguments = [str(source), str(tmp_path / "out.mkv"), str(tiny_model), json.dumps(sharing)]
    done = processes.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        limit_seconds=280,
        env=child_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 1" in done.stdout
    assert oracle.digest(tmp_path / "out.mkv") == oracle.digest(tmp_path / "wanted.mkv")
