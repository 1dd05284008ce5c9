"""The documents of the demo: the main Vault to the cluster's local Vault, every hour."""

from __future__ import annotations

STORES = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: vault-main}}
spec:
  permissions: Read
  provider:
    vault:
      address: {main}
      auth: {{token: {{env: MAIN_VAULT_TOKEN}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: vault-k8s}}
spec:
  permissions: ReadWrite
  provider:
    vault:
      address: {local}
      auth: {{token: {{file: {token_file}}}}}
"""

JOB = """\
# The main Vault to the cluster's local Vault, every hour.
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: vault-to-k8s-vault}
spec:
  source: vault-main
  dest: vault-k8s
  schedule: "@hourly"
  deletionPolicy: Delete
  plan:
    - name: smtp                        # one secret
      secret: {key: shared/smtp}
    - name: orders-env                  # two made into one
      combine:
        - {name: db, secret: {key: checkout/prod/orders/database}}
        - {name: smtp, secret: {key: shared/smtp}}
      key: apps/orders/env
      valueTransform:
        - template:
            data:
              DATABASE_URL: "postgres://{{ db.username }}:{{ db.password }}@{{ db.host }}:{{ db.port }}/orders"
              SMTP_PASSWORD: "{{ smtp.password }}"
    - name: production                  # all of production, under another key
      query:
        path: ""
        key: {regexp: "^[a-z]+/prod/"}
        recursive: true
      keyTransform:
        - regexp: {source: "^([a-z]+)/prod/(.*)$", target: "apps/$1/$2"}
"""

REPORTS_JOB = """\
# Every production database's address for the reporting tool. Meant to fail at first: one secret has no port.
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: databases-for-reports}
spec:
  source: vault-main
  dest: vault-k8s
  schedule: "30 2 * * *"
  timezone: Europe/Berlin
  plan:
    - name: mail                        # this one is well
      secret: {key: shared/smtp}
      keyTransform:
        - template: "reports/mail"
    - name: databases                   # and this one lacks a port
      query:
        path: ""
        key: {regexp: "^[a-z]+/prod/[a-z0-9-]+/database$"}
        recursive: true
      keyTransform:
        - regexp: {source: "^([a-z]+)/prod/([a-z0-9-]+)/database$", target: "reports/$1-$2"}
      valueTransform:
        - template:
            data:
              DATABASE_URL: "postgres://{{ username }}:{{ password }}@{{ host }}:{{ port }}/reports"
"""

LACKS_A_PORT = "search/prod/archive/database"
"""The secret that makes the second job fail until it is mended."""

MEND_POLICY = f"""
path "secret/data/{LACKS_A_PORT}" {{ capabilities = ["create", "read", "update", "patch"] }}
"""
"""What the token for mending that secret may do: nothing else."""

READ_POLICY = """
path "secret/data/*" { capabilities = ["read"] }
path "secret/metadata/*" { capabilities = ["read", "list", "scan"] }
path "secret/metadata" { capabilities = ["list", "scan"] }
path "secret/detailed-metadata/*" { capabilities = ["list", "scan"] }
path "secret/detailed-metadata" { capabilities = ["list", "scan"] }
"""
"""What the token for the source may do: read, and no more."""

WRITE_POLICY = """
path "secret/data/*" { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/*" { capabilities = ["read", "list", "scan"] }
path "secret/metadata" { capabilities = ["list", "scan"] }
path "secret/detailed-metadata/*" { capabilities = ["list", "scan"] }
path "secret/detailed-metadata" { capabilities = ["list", "scan"] }
"""
"""What the token for the destination may do: nothing outside its mount, and nothing to its history."""
