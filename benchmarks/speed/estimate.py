"""How near `vidsr plan` comes: for each clip the estimate, then the whole command, and the differences in percent.

python -m benchmarks.speed.estimate CLIP… [-- options of vidsr enhance]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def vidsr(*arguments: str) -> tuple[dict[str, float], float]:
    """The command's JSON answer, and its seconds on the wall."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "vidsr", *arguments, "--json", "--quiet"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), time.perf_counter() - begin


def main() -> None:
    """Print one line per clip."""
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = arguments[split + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    clips = parser.parse_args(arguments[:split]).clips
    print("clip | frames | sampled | estimated s | took s | off % | estimated bytes | bytes | off %")
    for clip in clips:
        plan, _ = vidsr("plan", clip, *options)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "result.mkv"
            _, took = vidsr("enhance", clip, "--output", str(output), *options)
            size = output.stat().st_size
        off, off_size = (100 * (a / b - 1) for a, b in ((plan["seconds"], took), (plan["result_bytes"], size)))
        print(
            f"{Path(clip).name} | {plan['frames']} | {plan['sampled_frames']} | {plan['seconds']:.1f} | {took:.1f} | "
            f"{off:+.1f} | {plan['result_bytes']} | {size} | {off_size:+.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
