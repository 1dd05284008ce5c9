#!/usr/bin/env bash
# Searches a lock file for known vulnerabilities: `advisories.sh LOCK`. It exits with
#
#   0  if the database of advisories was asked, and has none for these versions
#   1  if it has some, which are listed
#   3  if it could not be asked, so that nothing is known; ADVISORIES=optional makes that 0, and still says it
set -euo pipefail
lock=${1:?usage: advisories.sh LOCK}
pip_audit=${PIP_AUDIT:-.tools/release/bin/pip-audit}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

status=0
"$pip_audit" --disable-pip --require-hashes --requirement "$lock" --progress-spinner off \
  --format json --output "$scratch/found.json" 2>"$scratch/said" || status=$?

# It exits with 1 for what it found and for what failed alike: a failure leaves no list behind, or one with gaps.
if ! python3 - "$scratch/found.json" "$lock" <<'PYTHON'
import json, re, sys

try:
    asked = json.load(open(sys.argv[1]))["dependencies"]
except (OSError, ValueError, KeyError, TypeError):
    sys.exit(1)
names = {re.sub(r"[-_.]+", "-", one["name"]).lower() for one in asked if "vulns" in one}
marked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==[^\s;\\]+\s*(;?)", open(sys.argv[2]).read(), re.MULTILINE)
locked = {re.sub(r"[-_.]+", "-", name).lower() for name, marker in marked if not marker}
sys.exit(bool(not locked or locked - names))
PYTHON
then
  echo "advisories could not be had: nothing is known of vulnerabilities in $(basename "$lock")" >&2
  sed 's/^/  /' "$scratch/said" | tail -n 3 >&2
  [ "${ADVISORIES:-}" = optional ] && exit 0
  echo "run it again where the advisory database can be reached, or set ADVISORIES=optional" >&2
  exit 3
fi
python3 - "$scratch/found.json" <<'PYTHON'
import json, sys

found = json.load(open(sys.argv[1]))["dependencies"]
for one in found:
    for each in one.get("vulns", ()):
        fixed = ", ".join(each.get("fix_versions", ())) or "none yet"
        print(f"{one['name']} {one['version']}: {each['id']}, fixed in {fixed}")
print(f"{len(found)} packages were looked up, {sum(bool(one.get('vulns')) for one in found)} have known vulnerabilities")
PYTHON
exit "$status"
