# Gnomon's build. `make test` needs Go and make only.
.PHONY: build test check generate
TOOL = go tool -modfile=tools/go.mod

build:
	go build ./...

test:
	go test -timeout 8m ./...

check:
	@test -z "$$(gofmt -l cmd internal pkg tests 2>/dev/null)" || { gofmt -l cmd internal pkg tests; echo "run gofmt -w"; exit 1; }
	go vet ./...

generate:
	$(TOOL) buf generate proto --template proto/buf.gen.yaml
