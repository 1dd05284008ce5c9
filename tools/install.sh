#!/usr/bin/env bash
# Builds the virtual environment from requirements.lock: every package by version and hash, then this project. All of it
# is compiled at once: where PYTHONDONTWRITEBYTECODE is set, each program would do it again.
set -euo pipefail
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: SecretSync needs Python 3.11 or newer, and $PYTHON is $("$PYTHON" --version 2>&1)." >&2
  echo "hint:  name another one: make install PYTHON=python3.12" >&2
  exit 2
}

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  uv=.tools/bin/uv
  if [ ! -x "$uv" ]; then
    "$PYTHON" -m venv .tools
    .tools/bin/pip install --quiet --disable-pip-version-check uv
  fi
fi

"$uv" venv --quiet --allow-existing --python "$PYTHON" "$VENV"
VIRTUAL_ENV="$VENV" "$uv" pip sync --quiet --require-hashes --compile-bytecode requirements.lock
VIRTUAL_ENV="$VENV" "$uv" pip install --quiet --no-deps --compile-bytecode --editable .
"$VENV/bin/python" -m compileall -q secretsync_core secretsync_dagster
