#!/usr/bin/env bash
# Interop with librdkafka: starts one region by `gnomon dev` and uses it with kcat, unmodified: list, produce (each codec,
# keys, headers, idempotence, 900 KB, nulls), consume from both ends and from a time on, a consumer group that goes on where it
# stopped; with all agents as its brokers, and with each of them alone.
#
#   tests/interop/kcat.sh            builds and starts a region of its own
#   GNOMON_BIN=path tests/interop/kcat.sh   takes that binary
#
# Needs kcat. What it finds in the way of a mismatch it prints as "kcat: …" and ends with 1.
set -euo pipefail
cd "$(dirname "$0")/../.."

RECORDS=1000
START_TIMEOUT=60 # seconds until `gnomon dev` must have said that it is ready
STEP_TIMEOUT=60  # seconds a call of kcat may take

dir="$(mktemp -d)"
dev=""
cleanup() {
	code=$?
	if [ -n "$dev" ] && kill -0 "$dev" 2>/dev/null; then
		kill -INT "$dev"
		wait "$dev" || true
	fi
	if [ "$code" -ne 0 ]; then
		echo "--- the end of gnomon dev's output" >&2
		tail -n 40 "$dir/dev.log" >&2 || true
	fi
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "kcat: $*" >&2
	exit 1
}

client() { timeout "$STEP_TIMEOUT" kcat -b "$brokers" -X broker.address.family=v4 "$@"; }

same() { cmp "$1" "$2" || fail "$3: what was read is not what was written ($1, $2)"; }

# start builds and starts a region, and sets brokers.
start() {
	binary="${GNOMON_BIN:-}"
	if [ -z "$binary" ]; then
		binary="$dir/gnomon"
		go build -o "$binary" ./cmd/gnomon
	fi
	"$binary" dev --data "$dir/data" --ephemeral-ports >"$dir/dev.log" 2>&1 &
	dev=$!
	local deadline=$((SECONDS + START_TIMEOUT))
	until grep -q ready "$dir/dev.log"; do
		kill -0 "$dev" 2>/dev/null || fail "gnomon dev ended before it was ready"
		[ "$SECONDS" -lt "$deadline" ] || fail "gnomon dev was not ready after $START_TIMEOUT s"
		sleep 0.1
	done
	# "kafka":["host:port",…] without a JSON tool.
	brokers="$(tr -d ' \n\t' <"$dir/data/a/endpoints.json" | sed -n 's/.*"kafka":\[\([^]]*\)\].*/\1/p' | tr -d '"')"
	[ -n "$brokers" ] || fail "no \"kafka\" in $dir/data/a/endpoints.json"
}

topic() { "$binary" topic create "$1" --partitions "${2:-1}" --brokers "$brokers" >/dev/null; }

list() {
	topic "$prefix.list" 3
	client -L -t "$prefix.list" >"$dir/list"
	grep -q "topic \"$prefix.list\" with 3 partitions" "$dir/list" || fail "-L does not show the topic: $(cat "$dir/list")"
	echo "list: ok"
}

codecs() {
	local codec
	seq -f "record %.0f of the codec test, long enough to be worth compressing" "$RECORDS" >"$dir/in"
	for codec in none gzip snappy lz4 zstd; do
		topic "$prefix.$codec"
		client -P -t "$prefix.$codec" -p 0 -z "$codec" -X acks=all -X enable.idempotence=true <"$dir/in"
		client -C -t "$prefix.$codec" -p 0 -o beginning -e -q -X check.crcs=true >"$dir/out"
		same "$dir/in" "$dir/out" "codec $codec"
	done
	echo "codecs: ok"
}

keys_and_headers() {
	topic "$prefix.keys" 3
	seq 100 | sed 's/.*/key-&:value-&/' | sort >"$dir/in"
	client -P -t "$prefix.keys" -K : -H origin=interop -H empty= <"$dir/in"
	client -C -t "$prefix.keys" -o beginning -e -q -f '%k:%s\n' | sort >"$dir/out"
	same "$dir/in" "$dir/out" "keys"
	client -C -t "$prefix.keys" -o beginning -e -q -f '%h\n' | sort -u >"$dir/headers"
	[ "$(cat "$dir/headers")" = "origin=interop,empty=" ] || fail "headers came back as: $(cat "$dir/headers")"
	echo "keys and headers: ok"
}

ends() {
	tail -n 5 <(seq -f "record %.0f of the codec test, long enough to be worth compressing" "$RECORDS") >"$dir/in"
	client -C -t "$prefix.none" -p 0 -o -5 -e -q >"$dir/out"
	same "$dir/in" "$dir/out" "the last five"
	client -C -t "$prefix.none" -p 0 -o end -e -q >"$dir/out"
	[ ! -s "$dir/out" ] || fail "records after the end: $(head -n 3 "$dir/out")"
	client -Q -t "$prefix.none:0:-1" >"$dir/out"
	grep -q "offset $RECORDS" "$dir/out" || fail "-Q says that the end is: $(cat "$dir/out")"
	echo "ends: ok"
}

# Records of 900 KB, and null keys and values.
sizes() {
	topic "$prefix.large"
	for i in 1 2 3; do
		printf '%s' "$i"
		head -c 900000 /dev/zero | tr '\0' x
		echo
	done >"$dir/in"
	client -P -t "$prefix.large" -p 0 <"$dir/in"
	client -C -t "$prefix.large" -p 0 -o beginning -e -q >"$dir/out"
	same "$dir/in" "$dir/out" "large records"
	topic "$prefix.nulls"
	printf ':\nkey:\n:value\n' | client -P -Z -K : -t "$prefix.nulls" -p 0
	client -C -t "$prefix.nulls" -p 0 -o beginning -e -q -f '%K %S\n' >"$dir/out" # -1 is null
	printf '%s\n' '-1 -1' '3 -1' '-1 5' >"$dir/in"
	same "$dir/in" "$dir/out" "null keys and values"
	echo "large records, nulls: ok"
}

# From a time on: what was written after it, and nothing before.
times() {
	topic "$prefix.times"
	echo before | client -P -t "$prefix.times" -p 0
	sleep 0.1
	at="$(date +%s%3N)"
	sleep 0.1
	echo after | client -P -t "$prefix.times" -p 0
	client -C -t "$prefix.times" -p 0 -o "s@$at" -e -q >"$dir/out"
	echo after >"$dir/in"
	same "$dir/in" "$dir/out" "from a time on"
	echo "times: ok"
}

# A group reads the first half, a later member of it the rest: nothing twice, nothing left out.
group() {
	topic "$prefix.group" 1
	seq "$RECORDS" >"$dir/in"
	head -n $((RECORDS / 2)) "$dir/in" | client -P -t "$prefix.group"
	client -G "$prefix-readers" -X auto.offset.reset=earliest -c $((RECORDS / 2)) -q "$prefix.group" >"$dir/out"
	tail -n +$((RECORDS / 2 + 1)) "$dir/in" | client -P -t "$prefix.group"
	client -G "$prefix-readers" -X auto.offset.reset=earliest -c $((RECORDS / 2)) -q "$prefix.group" >>"$dir/out"
	same "$dir/in" "$dir/out" "group"
	echo "group: ok"
}

# checks runs all of them against brokers, on topics and a group of their own.
checks() {
	prefix="$1" brokers="$2"
	list
	codecs
	keys_and_headers
	ends
	sizes
	times
	group
	echo "kcat: all passed against $brokers"
}

start
all="$brokers"
checks together "$all"
for one in ${all//,/ }; do
	checks "agent.${one##*:}" "$one"
done
