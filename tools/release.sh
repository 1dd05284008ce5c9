#!/usr/bin/env bash
# Makes what is released, of the last commit alone: `release.sh [DIRECTORY]`, dist/release by default.
#
#   *.tar.gz, *.whl        the source distribution and the wheel: see tools/build.sh
#   *.cdx.json             the CycloneDX list of what the image installs, with the hashes of the lock file and licences
#   SHA256SUMS             of all of these
#
# Then the image's lock file is searched for known vulnerabilities: see tools/advisories.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-dist/release}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.tar.gz "$out"/*.whl "$out"/*.cdx.json "$out"/SHA256SUMS

uv=$(command -v uv || echo "$PWD/.tools/bin/uv")
environment() { # DIRECTORY LOCK
  "$uv" venv --quiet --allow-existing --no-project --python "${PYTHON:-.venv/bin/python}" "$1"
  VIRTUAL_ENV=$1 "$uv" pip sync --quiet --require-hashes "$2"
}
environment .tools/release tools/release.lock
bash tools/build.sh "$out"
wheel=$(ls "$out"/*.whl)

# What the image has: its lock file and our wheel, installed as deploy/docker/build.sh does.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
lock=$scratch/image-requirements.lock
git show HEAD:deploy/docker/requirements.lock >"$lock"
environment "$scratch/image" "$lock"
VIRTUAL_ENV=$scratch/image "$uv" pip install --quiet --no-deps "$wheel"
list() { .tools/release/bin/cyclonedx-py "$1" --output-reproducible --output-format JSON --output-file "$2" "$3"; }
list environment "$scratch/installed.json" "$scratch/image/bin/python"
list requirements "$scratch/locked.json" "$lock"
.tools/release/bin/python tools/sbom.py "$scratch/installed.json" "$scratch/locked.json" "$wheel" \
  >"${wheel%-py3-none-any.whl}.cdx.json"

(cd "$out" && sha256sum -- *.cdx.json *.tar.gz *.whl >SHA256SUMS && cat SHA256SUMS)
bash tools/advisories.sh "$lock"
