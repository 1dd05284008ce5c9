"""The starter directory that ``secretsync init`` writes. It works as it is: two directories, one job."""

from __future__ import annotations

README = """\
# Secrets to sync

`stores.yaml` says where secrets are, `jobs.yaml` what is copied where. Run from the parent directory:

    secretsync validate     # are the documents right?
    secretsync plan         # what would a sync do, and why?
    secretsync sync         # do it
    secretsync audit log    # what was done?

The example copies files from `example/source` to `example/dest`. Once you have seen it work, point the stores at your
own and delete `example`.

Keep credentials out of these files: `{env: NAME}` reads one from an environment variable (such as VAULT_TOKEN),
`{file: PATH}` from a file. Set SECRETSYNC_CONFIG to use this directory from elsewhere, SECRETSYNC_LEDGER for another
ledger than `.secretsync/ledger.db`.

`.secretsync` holds the ledger and its key: back up both, and keep them out of git.
"""

STORES = """\
# Where secrets are. `secretsync schema` prints the JSON Schema for your editor.
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: example-source}
spec:
  permissions: Read            # Read, Write or ReadWrite: the most that any job may do there
  provider:
    file: {path: example/source}   # one file per secret; relative to this file
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: example-dest}
spec:
  permissions: ReadWrite       # Read as well, to detect drift
  provider:
    file: {path: example/dest}
# ---
# A HashiCorp Vault or OpenBao. `secretsync stores` lists the others.
# apiVersion: secretsync.io/v1alpha1
# kind: SecretStore
# metadata: {name: vault-main}
# spec:
#   permissions: Read
#   provider:
#     vault:
#       address: https://vault.example.com:8200
#       mount: secret
#       auth:                    # exactly one: token, appRole, kubernetes, jwt, userPass, cert
#         token: {env: VAULT_TOKEN}
"""

JOBS = """\
# What goes where.
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: example}
spec:
  source: example-source
  dest: example-dest           # or a list: [one, another]
  schedule: "@hourly"          # for Dagster; the command line runs jobs on demand
  deletionPolicy: Retain       # Delete: remove what this job created when its source is removed
  plan:
    - name: mail               # one secret, by its key
      secret: {key: mail/smtp}

    - name: payments           # every secret below a path, under another key
      query:
        path: payments/
        key: {regexp: ".", exclude: ["-test$"]}
        recursive: true
      keyTransform:
        - regexp: {source: "^payments/(.*)$", target: "prod/$1"}

    - name: app-env            # several secrets made into one
      combine:
        - {name: db, secret: {key: payments/db}}
        - {name: mail, secret: {key: mail/smtp}}
      key: app/env
      valueTransform:
        - template:
            data:
              DATABASE_URL: "postgres://{{ db.user }}:{{ db.password }}@db.example.com/payments"
              SMTP_PASSWORD: "{{ mail.password }}"
"""

SECRETS = {
    "mail/smtp": '{"user": "mailer", "password": "an-example-not-a-password"}\n',
    "payments/db": '{"user": "payments", "password": "another-example"}\n',
    "payments/api-key": "this-file-is-one-secret\n",
    "payments/api-key-test": "left-out-by-the-exclude-in-jobs.yaml\n",
}

FILES = {
    "README.md": README,
    "stores.yaml": STORES,
    "jobs.yaml": JOBS,
    **{f"example/source/{key}": text for key, text in SECRETS.items()},
}
"""Every file by its path below the directory."""

DIRECTORIES = ("example/source", "example/dest")
