{{/* The pod that runs one `secretsync` command; takes {root, args}. */}}
{{- define "secretsync.pod" -}}
{{- $root := .root -}}
{{- with $root.Values -}}
serviceAccountName: {{ include "secretsync.serviceAccountName" $root }}
automountServiceAccountToken: {{ include "secretsync.needsToken" $root | default "false" }}
enableServiceLinks: false
restartPolicy: Never
terminationGracePeriodSeconds: {{ .cronJobs.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .podSecurityContext | nindent 2 }}
{{- with .imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
containers:
  - name: secretsync
    image: {{ include "secretsync.image" $root }}
    imagePullPolicy: {{ .image.pullPolicy }}
    args:
      {{- toYaml $.args | nindent 6 }}
    env:
      - {name: SECRETSYNC_CONFIG, value: /etc/secretsync}
      {{- if include "secretsync.policyName" $root }}
      - {name: SECRETSYNC_POLICY, value: /etc/secretsync-policy}
      {{- end }}
      {{- if .ledger.postgres.existingSecret }}
      - name: SECRETSYNC_LEDGER
        valueFrom:
          secretKeyRef: {name: {{ .ledger.postgres.existingSecret }}, key: {{ .ledger.postgres.secretKey }}}
      {{- else }}
      - {name: SECRETSYNC_LEDGER, value: /var/lib/secretsync/ledger.db}
      {{- end }}
      - {name: SECRETSYNC_KEY_FILE, value: /run/secrets/ledger/{{ .ledger.key.secretKey }}}
      {{- range .credentials.env }}
      - name: {{ .name }}
        valueFrom:
          secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
      {{- end }}
      {{- with .extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    securityContext:
      {{- toYaml .securityContext | nindent 6 }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    volumeMounts:
      - {name: documents, mountPath: /etc/secretsync, readOnly: true}
      {{- if include "secretsync.policyName" $root }}
      - {name: policy, mountPath: /etc/secretsync-policy, readOnly: true}
      {{- end }}
      - {name: ledger-key, mountPath: /run/secrets/ledger, readOnly: true}
      - {name: tmp, mountPath: /tmp}
      {{- if not .ledger.postgres.existingSecret }}
      - {name: ledger, mountPath: /var/lib/secretsync}
      {{- end }}
      {{- range .credentials.files }}
      - {name: {{ printf "file-%s" .name }}, mountPath: {{ printf "/run/secrets/secretsync/%s" .name }}, readOnly: true}
      {{- end }}
      {{- range .credentials.tokens }}
      - {name: {{ printf "token-%s" .name }}, mountPath: {{ printf "/run/secrets/tokens/%s" .name }}, readOnly: true}
      {{- end }}
      {{- with .extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: documents
    configMap: {name: {{ include "secretsync.documentsName" $root }}}
  {{- with include "secretsync.policyName" $root }}
  - name: policy
    configMap: {name: {{ . }}}
  {{- end }}
  - name: ledger-key
    secret:
      secretName: {{ .ledger.key.existingSecret }}
      defaultMode: 0440
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- if not .ledger.postgres.existingSecret }}
  - name: ledger
    persistentVolumeClaim:
      claimName: {{ .ledger.persistence.existingClaim | default (printf "%s-ledger" (include "secretsync.fullname" $root)) }}
  {{- end }}
  {{- range .credentials.files }}
  - name: file-{{ .name }}
    secret:
      secretName: {{ .secret }}
      defaultMode: 0440
  {{- end }}
  {{- range .credentials.tokens }}
  - name: token-{{ .name }}
    projected:
      sources:
        - serviceAccountToken:
            path: token
            audience: {{ .audience | quote }}
            expirationSeconds: {{ .expirationSeconds | default 3600 }}
  {{- end }}
  {{- with .extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
