#!/usr/bin/env bash
# The experiment of docs/training.md: preset tiny from nothing, both stages, blends, scores.
# usage: scripts/train_tiny.sh PICTURES VALIDATION TEST FOLDER
#   PICTURES    folder to learn from (BSD100)
#   VALIDATION  folder that training watches and picks its best step by (Set14 pairs)
#   TEST        folder that only the finished models are measured on (Set5 pairs)
# Two processes of one thread each use two cores and wait little for each other, even on a busy machine.
set -euo pipefail
pictures=$1 validation=$2 test=$3 folder=$4
mkdir -p "$folder"
export OMP_NUM_THREADS=1
vidsr="python -m vidsr"
$vidsr dataset make "$pictures" "$folder/data" --patch 256 --detail 0
$vidsr train init --preset tiny --dataset "$folder/data" --validation "$validation" --folder "$folder/run" \
  "$folder/train.toml" --overwrite
sed -i 's/^lpips = ""/lpips = "alex"/' "$folder/train.toml"
time python -m torch.distributed.run --standalone --nproc-per-node 2 -m vidsr train run "$folder/train.toml"
$vidsr train export "$folder/run" "$folder/tiny-psnr.safetensors" --stage psnr --overwrite
$vidsr train export "$folder/run" "$folder/tiny-gan.safetensors" --stage gan --overwrite
for alpha in 0.25 0.5 0.75; do
  $vidsr models blend "$folder/tiny-psnr.safetensors" "$folder/tiny-gan.safetensors" \
    "$folder/tiny-blend-$alpha.safetensors" --alpha $alpha --overwrite
done
for model in tiny-psnr tiny-blend-0.25 tiny-blend-0.5 tiny-blend-0.75 tiny-gan; do
  echo "$model"
  $vidsr evaluate "$folder/$model.safetensors" "$test"
done
