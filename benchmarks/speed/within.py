"""Whether jobs end in the time of `--within`: for each clip and budget what was chosen, and what the command took.

python -m benchmarks.speed.within --budgets 60s,2m,4m CLIP… [-- options of vidsr enhance]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vidsr.options.span_options import parse_duration


def main() -> None:
    """Print one line per clip and budget."""
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--budgets", default="60s,2m,4m")
    wanted = parser.parse_args(arguments[:split])
    print("clip | budget s | took s | share of the budget | chosen")
    for clip in wanted.clips:
        for text in wanted.budgets.split(","):
            budget = float(parse_duration(text, "--budgets"))
            with tempfile.TemporaryDirectory() as folder:
                command = [
                    "enhance",
                    clip,
                    "--within",
                    text,
                    "-o",
                    str(Path(folder) / "result.mkv"),
                    "--json",
                    "--quiet",
                ]
                begin = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-m", "vidsr", *command, *arguments[split + 1 :]],
                    check=False,
                    capture_output=True,
                    text=True,
                )
                took = time.perf_counter() - begin
            said = json.loads(done.stdout)["notes"][0] if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
            print(f"{Path(clip).name} | {budget:.0f} | {took:.1f} | {took / budget:.2f} | {said}", flush=True)


if __name__ == "__main__":
    main()
