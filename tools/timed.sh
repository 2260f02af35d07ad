#!/usr/bin/env bash
# Runs a command, and says how long it took: tools/timed.sh NAME COMMAND...
set -euo pipefail
name="$1"
shift
start=$(date +%s)
echo "--- $name"
code=0
"$@" || code=$?
took=$(($(date +%s) - start))
if [ "$code" -ne 0 ]; then
	echo "--- $name FAILED after ${took} s"
	exit "$code"
fi
echo "--- $name: ${took} s"
