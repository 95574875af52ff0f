"""Draw the curves of a training run: validation scores over the steps of its stages, as one SVG.

python -m scripts.training_curves runs/tiny docs/images/training-tiny.svg --line psnr_y=28.43 --line lpips=0.3406
python -m scripts.training_curves runs/steady curves.svg --score psnr_y --score lpips --score warping_error
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WIDTH, HEIGHT, LEFT, GAP = 860, 300, 60, 70
COLOURS = {"psnr": "#2266aa", "gan": "#cc5522"}
TITLES = {
    "psnr_y": "PSNR-Y, dB (higher is better)",
    "ssim_y": "SSIM-Y (higher is better)",
    "lpips": "LPIPS (lower is better)",
    "warping_error": "Warping error (lower is better)",
    "tof": "tOF, px (lower is better)",
}

Curves = dict[str, list[tuple[int, float]]]


def read_curves(run: Path, name: str) -> Curves:
    """{stage: [(step, value), …]} of one validation score."""
    curves: Curves = {}
    for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if f"val_{name}" in record:
            curves.setdefault(record["stage"], []).append((record["step"], record[f"val_{name}"]))
    return curves


def panel(curves: Curves, title: str, line_at: float | None, line_name: str, left: float, width: float) -> str:
    """One diagram: the gan stage is drawn after the psnr stage, what is compared with as a dashed line."""
    top, bottom = 40, HEIGHT - 40
    first = max(step for step, _ in curves["psnr"])
    points = {stage: [(step + first * (stage == "gan"), v) for step, v in line] for stage, line in curves.items()}
    if "gan" in points:
        points["gan"].insert(0, points["psnr"][-1])
    steps = [s for line in points.values() for s, _ in line]
    values = [v for line in points.values() for _, v in line] + ([] if line_at is None else [line_at])
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
    if line_at is not None:
        start, end = at(0, line_at), at(max(steps), line_at)
        parts.append(f'<path d="M{start}L{end}" stroke="#777" stroke-dasharray="5 4"/>')
        y = float(end.split(",")[1]) - 5
        parts.append(f'<text x="{left + width - 4:.0f}" y="{y:.0f}" text-anchor="end">{line_name}</text>')
    for stage, line in points.items():
        path = "L".join(at(s, v) for s, v in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[stage]}" stroke-width="2"/>')
        x, y = at(*line[-1]).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{COLOURS[stage]}"/>')
    for step in sorted({0, first, max(steps)}):
        x = at(step, low).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{step}</text>')
    return "".join(parts)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--score", action="append", choices=TITLES, help="default: psnr_y and lpips")
    parser.add_argument("--line", action="append", default=[], metavar="SCORE=VALUE", help="a dashed line at a value")
    parser.add_argument("--line-name", default="bicubic", help="what the dashed lines are")
    arguments = parser.parse_args()
    scores = arguments.score or ["psnr_y", "lpips"]
    lines = {name: float(value) for name, value in (line.split("=") for line in arguments.line)}
    width = (WIDTH - 2 * LEFT - GAP * (len(scores) - 1)) / len(scores)
    curves = {score: read_curves(arguments.run, score) for score in scores}
    body = "".join(
        panel(curves[score], TITLES[score], lines.get(score), arguments.line_name, LEFT + n * (width + GAP), width)
        for n, score in enumerate(scores)
    )
    stages = {stage for found in curves.values() for stage in found}
    legend = "".join(
        f'<text x="{LEFT + 90 * i}" y="{HEIGHT - 4}" fill="{colour}">stage {stage}</text>'
        for i, (stage, colour) in enumerate(COLOURS.items())
        if stage in stages
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{body}{legend}</svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
