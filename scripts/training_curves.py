"""Draw the curves of a training run: validation PSNR and LPIPS over the steps of both stages, as one SVG.

python -m scripts.training_curves runs/tiny docs/images/training-tiny.svg --bicubic-psnr 28.43 --bicubic-lpips 0.3406
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WIDTH, HEIGHT, LEFT, GAP = 860, 300, 60, 70
COLOURS = {"psnr": "#2266aa", "gan": "#cc5522"}

Curves = dict[str, list[tuple[int, float]]]


def read_curves(run: Path, name: str) -> Curves:
    """{stage: [(step, value), …]} of one validation score."""
    curves: Curves = {}
    for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if f"val_{name}" in record:
            curves.setdefault(record["stage"], []).append((record["step"], record[f"val_{name}"]))
    return curves


def panel(curves: Curves, title: str, bicubic: float, left: float) -> str:
    """One diagram: the gan stage is drawn after the psnr stage, bicubic as a dashed line."""
    width, top, bottom = (WIDTH - 2 * LEFT - GAP) / 2, 40, HEIGHT - 40
    first = max(step for step, _ in curves["psnr"])
    points = {stage: [(step + first * (stage == "gan"), v) for step, v in line] for stage, line in curves.items()}
    if "gan" in points:
        points["gan"].insert(0, points["psnr"][-1])
    steps = [s for line in points.values() for s, _ in line]
    values = [v for line in points.values() for _, v in line] + [bicubic]
    low, high = min(values), max(values)
    room = (high - low) * 0.08
    low, high = low - room, high + room

    def at(step: float, value: float) -> str:
        x = left + width * step / max(steps)
        return f"{x:.1f},{bottom - (bottom - top) * (value - low) / (high - low):.1f}"

    parts = [f'<text x="{left}" y="24" font-weight="bold">{title}</text>']
    for i in range(5):
        value = low + (high - low) * i / 4
        x, y = at(0, value).split(",")
        parts.append(f'<text x="{float(x) - 6:.0f}" y="{float(y) + 4:.0f}" text-anchor="end">{value:.4g}</text>')
        parts.append(f'<path d="M{x},{y}H{left + width:.0f}" stroke="#ddd"/>')
    start, end = at(0, bicubic), at(max(steps), bicubic)
    parts.append(f'<path d="M{start}L{end}" stroke="#777" stroke-dasharray="5 4"/>')
    parts.append(
        f'<text x="{left + width - 4:.0f}" y="{float(end.split(",")[1]) - 5:.0f}" text-anchor="end">bicubic</text>'
    )
    for stage, line in points.items():
        path = "L".join(at(s, v) for s, v in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[stage]}" stroke-width="2"/>')
        x, y = at(*line[-1]).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{COLOURS[stage]}"/>')
    for step in (0, first, max(steps)):
        x = at(step, low).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{step}</text>')
    return "".join(parts)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bicubic-psnr", type=float, required=True)
    parser.add_argument("--bicubic-lpips", type=float, required=True)
    arguments = parser.parse_args()
    second = LEFT + (WIDTH - 2 * LEFT - GAP) / 2 + GAP
    body = panel(read_curves(arguments.run, "psnr_y"), "PSNR-Y, dB (higher is better)", arguments.bicubic_psnr, LEFT)
    body += panel(read_curves(arguments.run, "lpips"), "LPIPS (lower is better)", arguments.bicubic_lpips, second)
    legend = "".join(
        f'<text x="{LEFT + 90 * i}" y="{HEIGHT - 4}" fill="{colour}">stage {stage}</text>'
        for i, (stage, colour) in enumerate(COLOURS.items())
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{body}{legend}</svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
