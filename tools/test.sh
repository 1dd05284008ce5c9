#!/usr/bin/env bash
# Runs a command with its temporary files in memory, where there is room for them: most tests commit to a ledger of their
# own, and would wait for the disk each time. TMPDIR, where it is set, is left as it is.
set -euo pipefail

ROOM_KIB=$((4 * 1024 * 1024))

free=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1 || echo 0)
if [[ -z ${TMPDIR:-} && -w /dev/shm && $free -ge $ROOM_KIB ]]; then
  made=$(mktemp -d /dev/shm/ss-XXXX)  # short, since the path of a socket may have 107 bytes
  # A server that is just ending may still write there, and the exit code is to be that of the command.
  trap 'rm -rf "$made" 2>/dev/null || true' EXIT
  chmod 711 "$made"  # some tests become another user
  # Tests execute files of theirs, which a file system may be mounted not to allow.
  printf '#!/bin/sh\n' >"$made/program" && chmod 700 "$made/program"
  if "$made/program" 2>/dev/null; then
    export TMPDIR=$made
  fi
  rm -f "$made/program"
fi
"$@"
