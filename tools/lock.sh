#!/usr/bin/env bash
# Resolves pyproject.toml for every supported Python into requirements.lock, with hashes.
set -euo pipefail
uv=$(command -v uv || echo .tools/bin/uv)
"$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
  --all-extras --group dev --output-file requirements.lock "$@" pyproject.toml
