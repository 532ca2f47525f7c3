{{- define "tflog.labels" -}}
app.kubernetes.io/name: tflog
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.mode }}
{{- end }}

{{- define "tflog.pod" -}}
metadata:
  labels:
    {{- include "tflog.labels" . | nindent 4 }}
  annotations:
    prometheus.io/scrape: 'true'
    prometheus.io/port: '8686'
    # A changed config is a new pod.
    checksum/config: {{ toYaml .Values.config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .Release.Name }}-tflog
  automountServiceAccountToken: {{ .Values.podAccess }}
  terminationGracePeriodSeconds: 40
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .Values.mode "aggregator" }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    fsGroup: 65532
  {{- end }}
  containers:
    - name: tflog
      image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [-c, /etc/tflog/tflog.yaml]
      env:
        - { name: PORT, value: '8686' }
        - name: NODE_NAME
          valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
        - name: POD_NAME
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        - name: POD_NAMESPACE
          valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
        {{- range $name, $value := .Values.env }}
        - { name: {{ $name }}, value: {{ $value | quote }} }
        {{- end }}
      ports:
        - { name: http, containerPort: 8686 }
        {{- if eq .Values.mode "aggregator" }}
        - { name: ingest, containerPort: {{ .Values.ingestPort }} }
        {{- end }}
      startupProbe:
        httpGet: { path: /health, port: http }
        periodSeconds: 1
        failureThreshold: 30
      livenessProbe:
        httpGet: { path: /health, port: http }
      readinessProbe:
        httpGet: { path: '/health/ready?accept', port: http }
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        readOnlyRootFilesystem: true
        allowPrivilegeEscalation: false
        seccompProfile: { type: RuntimeDefault }
        {{- if eq .Values.mode "agent" }}
        # The files of /var/log/pods are root's.
        runAsUser: 0
        capabilities: { drop: [ALL], add: [DAC_READ_SEARCH] }
        {{- else }}
        capabilities: { drop: [ALL] }
        {{- end }}
      volumeMounts:
        - { name: config, mountPath: /etc/tflog, readOnly: true }
        - { name: state, mountPath: /var/lib/tflog }
        {{- if .Values.secretName }}
        - { name: secrets, mountPath: /run/secrets/tflog, readOnly: true }
        {{- end }}
        {{- if eq .Values.mode "agent" }}
        - { name: log, mountPath: /var/log, readOnly: true }
        - { name: docker, mountPath: /var/lib/docker/containers, readOnly: true }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ .Release.Name }}-tflog }
    {{- with .Values.secretName }}
    - name: secrets
      secret: { secretName: {{ . }} }
    {{- end }}
    {{- if eq .Values.mode "agent" }}
    - name: log
      hostPath: { path: /var/log }
    - name: docker
      hostPath: { path: /var/lib/docker/containers, type: DirectoryOrCreate }
    - name: state
      hostPath: { path: {{ .Values.statePath }}, type: DirectoryOrCreate }
    {{- else }}
    - name: state
      emptyDir: {}
    {{- end }}
{{- end }}
