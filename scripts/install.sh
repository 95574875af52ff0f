#!/usr/bin/env bash
# Installs vidsr into a virtual environment: `install.sh VENV runtime|test`.
# Versions are those of constraints.txt, so that every machine runs what was tested.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
what=$2
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "install.sh: $("$python" --version) is too old: vidsr needs Python 3.11 or newer (make PYTHON=python3.12 …)" >&2
  exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt)
case "$what" in
  runtime)
    # torch first and by its exact version: a looser request would take the CUDA build with gigabytes of
    # libraries that a machine without a GPU has no use for.
    "${pip[@]}" "$(grep '^torch==' constraints.txt)"
    "${pip[@]}" --editable . ;;
  test)
    "${pip[@]}" --editable '.[test]'
    # ffprobe judges the results in tests, independently of our own code. Without it those tests skip, saying so.
    if ! command -v ffprobe >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ffmpeg; } \
        >/dev/null || echo "install.sh: could not install ffprobe; the tests that need it will be skipped" >&2
    fi
    # The page of `vidsr serve` is tested in a real browser.
    if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
      { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        chromium fonts-dejavu-core; } >/dev/null \
        || echo "install.sh: could not install chromium; the tests of the web page will be skipped" >&2
    fi ;;
  *) echo "install.sh: '$what' is neither runtime nor test" >&2; exit 2 ;;
esac
