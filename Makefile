# Gnomon's build. `make test` needs Go and make only; `make check` also a C compiler (race detector) and the network.
#
#   make build     bin/gnomon and the other commands
#   make test      all tests, under 8 minutes on two cores
#   make check     what must hold before a change lands; each step is a target of its own, see CHECKS
#   make generate  the code that comes from proto/
#   make bench     the figures of docs/PERFORMANCE.md

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := build

TOOL := go tool -modfile=tools/go.mod
# Folders with Go code of ours; those that are not there yet do not count.
GO_DIRS := $(wildcard cmd internal pkg tests)
RACE_PKGS ?= ./internal/... ./pkg/...
FUZZ_TIME ?= 20000x
TEST_TIMEOUT ?= 8m
CHECKS := fmt vet staticcheck golangci proto tidy generated race fuzz minio versitygw kcat compose alerts interop

export GNOMON_TOOLS_DIR ?= $(HOME)/.cache/gnomon

.PHONY: build test check generate bench $(CHECKS)

build:
	mkdir -p bin
	go build ./...
	if [ -d cmd ]; then go build -o bin/ ./cmd/...; fi

test:
	go test -timeout $(TEST_TIMEOUT) ./...

check:
	for step in $(CHECKS); do tools/timed.sh "$$step" $(MAKE) "$$step" || exit 1; done

generate:
	$(TOOL) buf generate proto --template proto/buf.gen.yaml

bench:
	go run ./tests/bench -store directory,minio

fmt:
	files="$$(gofmt -l $(GO_DIRS))"; \
	if [ -n "$$files" ]; then echo "not formatted; run gofmt -w on:"; echo "$$files"; exit 1; fi

vet:
	go vet ./...

staticcheck:
	$(TOOL) staticcheck ./...

golangci:
	$(TOOL) golangci-lint run --timeout 15m ./...

proto:
	$(TOOL) buf lint proto

tidy:
	go mod tidy -diff
	cd tools && go mod tidy -diff
	cd tests/interop/go && go mod tidy -diff
	cd tests/alerts/promql && go mod tidy -diff

generated:
	tools/generated.sh

race:
	go test -race -timeout 20m $(RACE_PKGS)

fuzz:
	tools/fuzz.sh $(FUZZ_TIME)

# Real stores that speak S3.
minio versitygw:
	tests/s3/run.sh $@

# Clients, tools and test suites of others; see tests/interop/doc.go for what each part needs on the machine.
INTEROP ?= all
interop:
	GNOMON_INTEROP=$(INTEROP) go test -count=1 -timeout 30m -parallel 6 ./tests/interop

# The alerts and the dashboard of deploy/, evaluated by Prometheus' own engine on the metrics of two live regions.
alerts:
	GNOMON_ALERTS=1 go test -count=1 -timeout 15m ./tests/alerts

# docker-compose.yml in a Docker engine of the test's own.
compose:
	tests/compose/run.sh

kcat:
	if command -v kcat >/dev/null; then tests/interop/kcat.sh; else echo "kcat is not installed: interop with librdkafka left out"; fi
