# Everything a developer types. README.md explains the first two.
GO      ?= go
BIN     := bin/gatehouse
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: run build test deps lint bench soak mutants interop screens clean

run: build ## start on embedded SQLite with a demo user, a demo client and the playground
	./$(BIN) serve --dev

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/gatehouse

deps: ## what tests need: PostgreSQL, Chromium, Node.js with the libraries of deploy/dev/interop
	deploy/dev/deps.sh

# The race detector watches every package but two that compute and share nothing: SQLite's C code in Go, where it
# costs most of the run, and the cipher of bcrypt. A package with generic code can't be left out: the linker keeps one
# copy of each instance, and others would use it unwatched. The flags are in the environment for the tests that build
# the program. At its end a watched process waits for reports of other threads: a second is the default, and the
# scripts of cmd/gatehouse are hundreds of processes.
UNWATCHED := $(foreach p,modernc.org/sqlite/lib golang.org/x/crypto/blowfish,'-gcflags=$(p)=-race=false -d=checkptr=0')
RACE := GOFLAGS="$(UNWATCHED)" GORACE=atexit_sleep_ms=50 CGO_ENABLED=1 $(GO) test -race

test: deps ## every test, with the race detector, on every backend
	$(RACE) -timeout 40m ./...

interop: deps ## openid-client, oauth4webapi and oidc-client-ts against the program, and the program against node-oidc-provider; a part of make test
	$(GO) test -count=1 -v ./deploy/dev/interop

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l cmd provider storage templates deploy)" || { gofmt -l cmd provider storage templates deploy; echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: build deps ## ratios against a bare net/http handler, on SQLite and on PostgreSQL
	deploy/dev/bench.sh $(BIN)

# What measures time has the machine to itself.
MEASURED := TestSoak(Row136|Row142|SignInCPU)

soak: deps ## the long runs; a short form of each is part of make test
	GATEHOUSE_SOAK=1 CGO_ENABLED=1 $(GO) test -p 1 -timeout 1h -v -run '$(MEASURED)' ./provider ./cmd/gatehouse
	GATEHOUSE_SOAK=1 CGO_ENABLED=1 $(GO) test -timeout 6h -v -run 'Soak' -skip '$(MEASURED)' ./...

mutants: ## breaks the rule behind each line of the checklist and expects its test to go red; not part of make test
	$(GO) run ./deploy/dev/mutants

screens: deps ## a picture of every page, in docs/screens
	TZ=UTC FONTCONFIG_FILE=$(CURDIR)/deploy/dev/fonts.conf $(GO) test -count=1 -run '^TestScreens$$' ./templates -screens $(CURDIR)/docs/screens

clean:
	rm -rf bin
