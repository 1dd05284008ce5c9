#!/usr/bin/env bash
# Builds the source distribution and the wheel of the last commit: `build.sh DIRECTORY`. They are the same byte by byte
# wherever, whenever and by whomever they are built, with the same Python and the hatchling of the lock file: only what
# is committed goes in, and every date is the commit's.
set -euo pipefail
out=${1:?usage: build.sh DIRECTORY}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[[ $python = /* ]] || python=$PWD/$python

umask 022
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
if [ -n "$(git status --porcelain)" ]; then
  echo "note: what is not committed is left out" >&2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git archive --format=tar HEAD | tar -x -C "$scratch"
cd "$scratch"
"$python" -m hatchling build --directory "$out" >/dev/null
