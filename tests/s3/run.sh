#!/bin/sh
# Runs a command against a real store, minio or versitygw: builds the pinned server once (some minutes when cold), starts it on a
# free loopback port with a throw-away directory and a bucket, and stops it when the command ends. The command finds
# GNOMON_TEST_S3 and AWS credentials in its environment. Without a command it runs the tests of the object stores, the
# failovers with both regions on it, and the tests that kill a store or have it refuse.
#
#   tests/s3/run.sh versitygw
#   tests/s3/run.sh minio go test -bench . ./pkg/objlog/objstore/s3
set -eu
cd "$(dirname "$0")/../.."
tools="${GNOMON_TOOLS_DIR:-$HOME/.cache/gnomon}/bin"
store="${1:-}"
[ $# -eq 0 ] || shift
mkdir -p "$tools"
go build -o "$tools/with-s3" ./tests/s3
if [ $# -eq 0 ]; then
	GNOMON_TOOLS_BIN="$tools" "$tools/with-s3" "$store" go test -count=1 ./pkg/objlog/objstore/...
	set -- go test -count=1 -run 'Failover|Store|UnderFire' ./tests/e2e
fi
GNOMON_TOOLS_BIN="$tools" exec "$tools/with-s3" "$store" "$@"
