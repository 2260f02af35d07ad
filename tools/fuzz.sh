#!/usr/bin/env bash
# Fuzzes every target of the module for a short while: tools/fuzz.sh [BUDGET A TARGET]. A crasher is left in the package's
# testdata/fuzz, to be committed with its repair.
#
# The budget is a number of executions, such as 20000x. With one in time (5s), Go's fuzzing coordinator now and then fails a
# target that found nothing with "context deadline exceeded": the end of the time races with its workers.
#
# Minimising is cut to 10 tries an input: by default it may take a minute an input, counts as no execution, and can take
# up the whole of a short run, which then passes without having fuzzed.
set -euo pipefail
cd "$(dirname "$0")/.."
budget="${1:-20000x}"
targets=0
while IFS=: read -r file name; do
	targets=$((targets + 1))
	echo "$name (${file%/*})"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$budget" -fuzzminimizetime 10x -timeout 5m "./${file%/*}" </dev/null
done < <(
	grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -e 's#^\./##' -e 's#:func #:#' | sort
)
echo "fuzzed $targets targets, $budget each"
