#!/usr/bin/env bash
# Builds the virtual environment of the image: `build.sh TARGET`, from the top of the source tree.
#
# Every package comes from a lock file by version and hash; so does what builds ours, which stays in a scratch
# directory. TARGET holds no pip, uv or compiler afterwards. A test runs this very file.
set -euo pipefail
target=${1:?usage: build.sh TARGET}
PYTHON=${PYTHON:-python3}
here=deploy/docker

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action ignore \
  --target "$scratch/tools" --require-hashes --only-binary :all: --requirement "$here/build.lock"
PYTHONPATH=$scratch/tools "$PYTHON" -m hatchling build --target wheel --directory "$scratch/dist"

uv=$scratch/tools/bin/uv
export VIRTUAL_ENV=$target UV_LINK_MODE=${UV_LINK_MODE:-copy} UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never
"$uv" venv --quiet --no-project --python "$PYTHON" "$target"
# Compiled now, since the image's file system is read-only and every pod would do it again.
"$uv" pip sync --quiet --require-hashes --only-binary :all: --compile-bytecode "$here/requirements.lock"
"$uv" pip install --quiet --no-deps --compile-bytecode "$scratch"/dist/*.whl
"$target/bin/secretsync" --version
