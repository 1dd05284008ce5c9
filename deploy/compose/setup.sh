#!/usr/bin/env bash
# Makes the credentials that compose.yaml mounts, for whoever runs it and nobody else; what is there stays as it is.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

make() {
  [ -e "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"
}
random() {
  openssl rand -hex 24
}
make postgres-password "$(random)"
make ledger.key "$(openssl rand -base64 32)"
make source-token "$(random)"
make dest-token "$(random)"
make pgpass "*:*:*:secretsync:$(cat secrets/postgres-password)
"

# The containers run as whoever may read these files: you, and where that is root, the user of the image.
user=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
  user=10001:10001
  chown -R "$user" secrets
fi
[ -e .env ] || printf 'SECRETSYNC_USER=%s\n' "$user" >.env
echo "secrets/ and .env are there; next: docker compose up --detach"
