#!/usr/bin/env bash
# How vidsr-video-compact was trained, from realesr-general-x4v3: about 75 minutes on one core.
# usage, at the root of a clone: scripts/train_video_compact.sh VALIDATION_VIDEO FOLDER SOURCE...
#   VALIDATION_VIDEO  a video that training watches and does not learn from
#   FOLDER            where the clips, the run and the model go
#   SOURCE            pictures and videos to learn from, or folders of them
# The same sources do not give the shipped file bit for bit: its clips were made by an earlier form of `dataset make
# --clips` for pictures, and its first 543 steps were run with lpips_weight = 0.7 and planned for 1800.
set -euo pipefail
validation=$1 folder=$2
shift 2
mkdir -p "$folder"
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
vidsr="python -m vidsr"
$vidsr dataset make "$@" "$folder/clips" --clips 6 --length 10 --patch 256 --detail 1
$vidsr dataset make "$validation" "$folder/watched" --clips 4 --length 10 --patch 192 --detail 1
sed "s#FOLDER#$folder#" "$here/video_compact.toml" > "$folder/train.toml"
$vidsr train run "$folder/train.toml"
$vidsr train export "$folder/run" "$folder/fp32.safetensors"
python -m scripts.blend_with_still "$folder/fp32.safetensors" realesr-general-x4v3 "$folder/blend.safetensors" --trained-share 0.5
$vidsr models convert "$folder/blend.safetensors" "$folder/vidsr-video-compact.safetensors" --half
