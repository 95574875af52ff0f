"""Compile the Triton kernels of both networks for GPUs that are not here, and look at the machine code.

    python -m scripts.check_kernels                      # every kernel for sm_75, 80, 86, 89, 90, 100 and 120
    python -m scripts.check_kernels --rows               # those by tensor descriptors, for sm_90, 100 and 120
    python -m scripts.check_kernels --arch 80 90 --networks compact
    python -m scripts.check_kernels --table              # the rows as Markdown, for docs/performance.md

The networks run on PyTorch's meta device with the kernel replaced by a recorder, which gives every launch with its true
types, strides and constants. Each distinct one is compiled by Triton's own ptxas; no GPU and no driver are needed.

Exit code 1 if a kernel does not compile, spills registers, needs more shared memory than a block may have, loads its
input by single values, has no matrix instruction, or leaves room for fewer blocks per multiprocessor than two. It says
nothing about speed; that results are right is what the tests in Triton's interpreter show.
"""

from __future__ import annotations

import argparse
import sys

from tests.support.kernel_compilation import CHIPS, compiled, examined, faults, launches, tiling_for

WIDTHS = "{:>4} {:22} {:>4} {:>6} {:>6} {:>6} {:>6} {:>6}"


def main() -> int:
    """Compile, print a row for each kernel, and say whether all are as wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, nargs="+", choices=list(CHIPS))
    parser.add_argument("--networks", nargs="+", choices=["x4plus", "compact"], default=["x4plus", "compact"])
    parser.add_argument(
        "--rows", action="store_true", help="the kernels that load rows by tensor descriptors, for sm_90 on"
    )
    parser.add_argument("--first", type=int, help="only so many kernels of each network")
    parser.add_argument("--table", action="store_true", help="rows as Markdown")
    args = parser.parse_args()
    archs = args.arch or [arch for arch in CHIPS if arch >= (90 if args.rows else 75)]
    template = " | ".join(["| {}", *["{}"] * 7]) + " |" if args.table else WIDTHS
    print(template.format("sm", "kernel", "regs", "spills", "shared", "blocks", "matrix", "instr."))
    bad = number = 0
    for arch in archs:
        chip = CHIPS[arch]
        for launch in list(launches(args.networks, tiling_for(arch, rows=args.rows)))[: args.first]:
            number += 1
            row = examined(compiled(launch, arch))
            blocks = chip.blocks(row["registers"], row["shared"], launch.warps)
            figures = (row["registers"], row["spills"], row["shared"], blocks, row["matrix"], row["instructions"])
            wrong = ", ".join(faults(row, chip, blocks))
            bad += bool(wrong)
            print(template.format(arch, launch.name, *figures), f"FAULT: {wrong}" if wrong else "", flush=True)
    print(f"{number} kernels, {bad} with a fault")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
