{{- define "secretsync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "secretsync.fullname" -}}
{{- $name := include "secretsync.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "secretsync.selectorLabels" -}}
app.kubernetes.io/name: {{ include "secretsync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "secretsync.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "secretsync.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "secretsync.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "secretsync.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.create is false: serviceAccount.name has to name one" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "secretsync.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "secretsync.documentsName" -}}
{{- .Values.documents.existingConfigMap | default (printf "%s-documents" (include "secretsync.fullname" .)) -}}
{{- end }}

{{/* The ConfigMap with the policies; empty where there is none. */}}
{{- define "secretsync.policyName" -}}
{{- if .Values.policy.existingConfigMap -}}
{{- .Values.policy.existingConfigMap -}}
{{- else if .Values.policy.files -}}
{{- printf "%s-policy" (include "secretsync.fullname" .) -}}
{{- end -}}
{{- end }}

{{/* The documents in documents.files, as JSON: a list, each with the file it stands in. */}}
{{- define "secretsync.documents" -}}
{{- $found := list -}}
{{- range $file, $text := .Values.documents.files -}}
{{- range regexSplit "(?m)^---" $text -1 -}}
{{- $document := fromYaml . -}}
{{- if hasKey $document "Error" -}}
{{- fail (printf "documents.files, %s: a document is not YAML; `secretsync validate` says where" $file) -}}
{{- end -}}
{{- if $document -}}
{{- $name := dig "metadata" "name" "" $document -}}
{{- $found = append $found (dict "file" $file "kind" ($document.kind | default "") "name" $name "spec" ($document.spec | default dict)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "all" $found | toJson -}}
{{- end }}

{{/* Whether the pods talk to the API server: for the Secrets of a kubernetes store. */}}
{{- define "secretsync.needsToken" -}}
{{- if or .Values.serviceAccount.automountToken .Values.rbac.secrets -}}true{{- end -}}
{{- end }}

{{/*
A credential that stands in a document itself, by {value: …}: where it is, and never what it is. Labels, tags and the
like are maps of the user's own names, and may have one that is called so.
*/}}
{{- define "secretsync.literals" -}}
{{- if kindIs "map" .at -}}
{{- if and (hasKey .at "value") (eq (len .at) 1) -}}
{{- printf "%s " .path -}}
{{- else -}}
{{- range $name, $part := omit .at "labels" "annotations" "tags" -}}
{{- include "secretsync.literals" (dict "at" $part "path" (printf "%s.%s" $.path $name)) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" .at -}}
{{- range $number, $part := .at -}}
{{- include "secretsync.literals" (dict "at" $part "path" (printf "%s[%d]" $.path $number)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A document's schedule as Kubernetes takes it: five fields, or one of the macros that both know. */}}
{{- define "secretsync.cron" -}}
{{- $words := splitList " " (regexReplaceAll "\\s+" (trim .schedule) " ") -}}
{{- if eq (lower (first $words)) "@every" -}}
{{- $duration := index (append $words "") 1 -}}
{{- $minutes := 0 -}}
{{- if regexMatch "^[0-9]+m$" $duration }}{{ $minutes = trimSuffix "m" $duration | int }}{{ end -}}
{{- if regexMatch "^[0-9]+h$" $duration }}{{ $minutes = trimSuffix "h" $duration | int | mul 60 | int }}{{ end -}}
{{- if eq $duration "1d" }}{{ $minutes = 1440 }}{{ end -}}
{{- if eq $minutes 1 -}}* * * * *
{{- else if has $minutes (list 2 3 4 5 6 10 12 15 20 30) -}}{{ printf "*/%d * * * *" $minutes }}
{{- else if eq $minutes 60 -}}0 * * * *
{{- else if has $minutes (list 120 180 240 360 480 720) -}}{{ printf "0 */%d * * *" (div $minutes 60 | int) }}
{{- else if eq $minutes 1440 -}}0 0 * * *
{{- else -}}
{{- fail (printf "the schedule of %s is no interval that cron can keep (1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes; 1, 2, 3, 4, 6, 8, 12 or 24 hours): write one in five fields, in cronJobs.jobs.%s.schedule" .name .name) -}}
{{- end -}}
{{- else if hasPrefix "@" (first $words) -}}
{{- lower (first $words) -}}
{{- else if ne (len $words) 5 -}}
{{- fail (printf "the schedule of %s has to have five fields, or to be a macro such as @hourly" .name) -}}
{{- else -}}
{{- $days := regexReplaceAll "^7$" (last $words) "0" -}}
{{- if regexMatch "(^|[,-])7($|[,-])" $days -}}
{{- fail (printf "the schedule of %s calls Sunday 7, which Kubernetes does not know: write 0" .name) -}}
{{- end -}}
{{- join " " (append (initial $words) $days) -}}
{{- end -}}
{{- end }}

{{/*
The CronJobs to make, as JSON: name -> {schedule, timeZone, suspend, verify, items}. Where the chart has the documents,
they come from the SyncJobs with a schedule, and cronJobs.jobs changes or adds to what they say.
*/}}
{{- define "secretsync.jobs" -}}
{{- $jobs := dict -}}
{{- $known := dict -}}
{{- range (include "secretsync.documents" . | fromJson).all -}}
{{- if eq .kind "SyncJob" -}}
{{- $given := index $.Values.cronJobs.jobs .name | default dict -}}
{{- $_ := set $known .name true -}}
{{- $schedule := $given.schedule | default .spec.schedule -}}
{{- if $schedule -}}
{{- $suspend := .spec.suspend | default false -}}
{{- if hasKey $given "suspend" }}{{ $suspend = $given.suspend }}{{ end -}}
{{- $job := dict "schedule" (include "secretsync.cron" (dict "schedule" $schedule "name" .name)) "suspend" $suspend "timeZone" ($given.timeZone | default .spec.timezone | default "Etc/UTC") -}}
{{- $_ := set $jobs .name (merge $job (pick $given "verify" "items")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $given := .Values.cronJobs.jobs -}}
{{- if $.Values.documents.existingConfigMap -}}
{{- $schedule := required (printf "cronJobs.jobs.%s needs a schedule, since its document is in a ConfigMap that the chart does not see" $name) $given.schedule -}}
{{- $job := dict "schedule" (include "secretsync.cron" (dict "schedule" $schedule "name" $name)) "suspend" ($given.suspend | default false) "timeZone" ($given.timeZone | default "Etc/UTC") -}}
{{- $_ := set $jobs $name (merge $job (pick $given "verify" "items")) -}}
{{- else if not (hasKey $known $name) -}}
{{- fail (printf "cronJobs.jobs.%s: no SyncJob in documents.files has that name" $name) -}}
{{- end -}}
{{- end -}}
{{- toJson $jobs -}}
{{- end }}

{{/* CronJobs have names of 52 characters at most; a longer one is cut, and told apart by a checksum. */}}
{{- define "secretsync.cronJobName" -}}
{{- $name := printf "%s-%s" (include "secretsync.fullname" .root) .job -}}
{{- if gt (len $name) 52 -}}
{{- printf "%s-%s" ($name | trunc 43 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end }}

{{/* What is wrong with the values as a whole, beyond what their schema can say. */}}
{{- define "secretsync.check" -}}
{{- if and .Values.documents.files .Values.documents.existingConfigMap -}}
{{- fail "documents.files and documents.existingConfigMap are both set: give one" -}}
{{- end -}}
{{- if and .Values.policy.files .Values.policy.existingConfigMap -}}
{{- fail "policy.files and policy.existingConfigMap are both set: give one" -}}
{{- end -}}
{{- if and .Values.cronJobs.enabled .Values.dagster.enabled -}}
{{- fail "cronJobs.enabled and dagster.enabled are both set, and every SyncJob would have two schedules: set cronJobs.enabled to false" -}}
{{- end -}}
{{- if and .Values.ledger.postgres.existingSecret (or .Values.ledger.persistence.enabled .Values.ledger.persistence.existingClaim) -}}
{{- fail "ledger.postgres and ledger.persistence are both set: give one" -}}
{{- end -}}
{{- range (include "secretsync.documents" . | fromJson).all -}}
{{- $found := include "secretsync.literals" (dict "at" (pick .spec "provider" "notify") "path" "spec") -}}
{{- if $found -}}
{{- fail (printf "documents.files, %s: a credential stands in %s itself, at %s: put it in a Secret, name that in credentials, and write {env: NAME} or {file: PATH}" .file .name (trim $found | replace " " ", ")) -}}
{{- end -}}
{{- end -}}
{{- end }}
