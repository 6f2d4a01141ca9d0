# make build   bin/reaper: static, stripped, reproducible
# make test    everything that needs no network; skips, with the reason, what this machine cannot do
# make test-docker   in real containers; needs root and Debian's docker.io and busybox-static
# make test-daemons  real daemons; needs root and Debian's nginx-light, redis-server, memcached,
#                    dnsmasq-base, haproxy and cron
# make lint    the linters, at the versions below
# make bench   what an init costs, beside others (docs/performance.md); Go benchmarks
# make demo    the life of a zombie, live

GO      ?= go
BIN     ?= bin/reaper
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

GOLANGCI_LINT_VERSION = v2.15.0

# -E main.entry   the entry point that writes down what was inherited (cmd/reaper/inherit.go)
# asyncpreemptoff the runtime sends itself no SIGURG, so that a real one can be forwarded
#                 (cmd/reaper/signals.go); the loop has no goroutine that needs to be preempted
# checklinkname=0 with the tag linkruntime: one variable of the runtime is set, so that
#                 nothing ticks at rest (cmd/reaper/idle.go)
LDFLAGS = -s -w -buildid= \
	-checklinkname=0 \
	-E main.entry \
	-X runtime.godebugDefault=asyncpreemptoff=1 \
	-X main.urgent=forward \
	-X main.version=$(VERSION)

# -race needs cgo, so a C compiler.
RACE = $(if $(shell command -v $$($(GO) env CC) 2>/dev/null),-race,)

.PHONY: all build build-race build-plain test test-unit test-kernel test-docker test-daemons bench lint fmt demo tools clean

all: build lint test

build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags linkruntime -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/reaper

# For the tests: with the race detector, and as a plain `go build` makes it.
build-race:
	CGO_ENABLED=1 $(GO) build -race -buildvcs=false -o $(BIN) ./cmd/reaper
build-plain:
	CGO_ENABLED=0 $(GO) build -buildvcs=false -o $(BIN) ./cmd/reaper

test: test-unit test-kernel

test-unit:
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) -shuffle=on ./cmd/... ./pkg/...
ifneq ($(RACE),)
	$(GO) test $(TESTFLAGS) $(RACE) -shuffle=on ./cmd/... ./pkg/...
else
	@echo "skipped: the same with -race, there is no C compiler"
endif

NOT_DAEMONS = -skip '^TestRealDaemon'
KERNEL_TESTS = ./test ./test/bench ./test/demo ./test/probe
test-kernel:
	$(GO) test $(TESTFLAGS) -timeout 30m -count=1 $(NOT_DAEMONS) $(KERNEL_TESTS)
ifneq ($(RACE),)
	$(GO) test $(TESTFLAGS) $(RACE) -timeout 30m -count=1 $(NOT_DAEMONS) $(KERNEL_TESTS)
else
	@echo "skipped: the same with -race, there is no C compiler"
endif

test-docker:
	$(GO) test $(TESTFLAGS) -count=1 ./test/docker

test-daemons:
	$(GO) test $(TESTFLAGS) -count=1 -run '^TestRealDaemon' ./test

TOOLS = bin/tools
tools: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
$(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(CURDIR)/$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(TOOLS)/golangci-lint $@

lint: tools
	$(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION) run ./...
	$(GO) vet -tags linkruntime ./cmd/...
	GOOS=darwin $(GO) vet ./pkg/...
	GOARCH=arm64 $(GO) vet ./...
	GOARCH=s390x $(GO) vet ./...
	$(GO) mod tidy -diff

fmt: tools
	$(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION) fmt ./...

# As root it installs the inits that are missing; it says what it could not measure.
bench: build
	$(GO) run ./test/bench -reaper $(BIN) -setup $(BENCHFLAGS)
	$(GO) test $(TESTFLAGS) -run '^$$' -bench . ./pkg/... ./test/...

demo: build
	$(GO) run ./test/demo $(BIN)

clean:
	rm -rf bin
