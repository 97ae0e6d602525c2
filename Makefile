# Everything a developer types. README.md explains the first two.
GO      ?= go
BIN     := bin/gatehouse
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: run build test deps lint bench soak clean

run: build ## start on embedded SQLite with a demo user, a demo client and the playground
	./$(BIN) serve --dev

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/gatehouse

deps: ## what tests need: PostgreSQL, Chromium
	deploy/dev/deps.sh

test: deps ## every test, with the race detector, on every backend
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l cmd provider storage templates)" || { gofmt -l cmd provider storage templates; echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: build deps ## ratios against a bare net/http handler, on SQLite and on PostgreSQL
	deploy/dev/bench.sh $(BIN)

soak: deps ## the long runs; a short form of each is part of make test
	GATEHOUSE_SOAK=1 CGO_ENABLED=1 $(GO) test -timeout 6h -v -run 'Soak' ./...

clean:
	rm -rf bin
