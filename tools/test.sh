#!/usr/bin/env bash
# Runs a command with its temporary files in memory, where there is room for them: most tests commit to a ledger of their
# own, and would wait for the disk each time. TMPDIR, where it is set, is left as it is.
set -euo pipefail

ROOM_KIB=$((4 * 1024 * 1024))

free=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1 || echo 0)
if [[ -z ${TMPDIR:-} && -w /dev/shm && $free -ge $ROOM_KIB ]]; then
  TMPDIR=$(mktemp -d /dev/shm/ss-XXXX)  # short, since the path of a socket may have 107 bytes
  export TMPDIR
  chmod 711 "$TMPDIR"  # some tests become another user
  trap 'rm -rf "$TMPDIR"' EXIT
fi
"$@"
