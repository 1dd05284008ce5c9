#!/usr/bin/env bash
# Resolves pyproject.toml for every supported Python into requirements.lock, with hashes, and what the image needs of
# it (deploy/docker/requirements.lock) at the very same versions. build.lock has what builds the image, and no more, and
# tools/release.lock what a release takes besides.
set -euo pipefail

# The extras of the image; those that pyproject.toml has are taken.
IMAGE_EXTRAS="dagster dagster-k8s vault aws gcp azure github gitlab http kubernetes dotenv sops postgres notify metrics migrate"

uv=$(command -v uv || echo .tools/bin/uv)
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url "$@"
}

compile --all-extras --group dev --output-file requirements.lock "$@" pyproject.toml

extras=()
for extra in $IMAGE_EXTRAS; do
  if grep -qE "^$extra = \[" pyproject.toml; then
    extras+=(--extra "$extra")
  fi
done
# The constraints hold every version where it is, so that --upgrade concerns the first file alone.
compile "${extras[@]}" --constraint requirements.lock --no-annotate \
  --output-file deploy/docker/requirements.lock pyproject.toml
printf '%s\n' uv hatchling |
  compile --constraint requirements.lock --no-annotate --output-file deploy/docker/build.lock "$@" -
printf '%s\n' cyclonedx-bom hatchling pip-audit |
  compile --constraint requirements.lock --no-annotate --output-file tools/release.lock "$@" -
