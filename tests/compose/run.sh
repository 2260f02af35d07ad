#!/bin/sh
# Runs docker-compose.yml in a Docker engine of its own (see doc.go), or says why it cannot.
set -eu
cd "$(dirname "$0")/../.."
left_out() {
	echo "docker-compose.yml is not run: $1"
	exit 0
}
[ "$(id -u)" -eq 0 ] || left_out "only root may start a Docker engine"
for command in dockerd docker docker-compose iptables ip nsenter unshare busybox; do
	command -v "$command" >/dev/null || left_out "$command is not on this machine (Debian: docker.io, docker-compose, iptables, iproute2, util-linux, busybox-static)"
done
unshare --net --mount true || left_out "this machine allows no network namespaces"
GNOMON_COMPOSE=1 exec go test -count=1 -timeout 40m -v ./tests/compose
