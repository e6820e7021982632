SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory

GO ?= go

BIN := $(CURDIR)/.bin
CACHE := $(CURDIR)/.cache
VALIDATE := $(CACHE)/proto/validate/validate.proto

# Each folder of tools/ is a module that pins programs. Its stamp carries the checksum of
# go.sum and not a time, so that a restored .bin counts as built after a fresh checkout.
tools = $(BIN)/.$(1)-$(firstword $(shell cksum < tools/$(1)/go.sum))
BUF := $(call tools,buf)
PLUGINS := $(call tools,gen)
LINTER := $(call tools,lint)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Run

.PHONY: run
run: ## start the service here, with a demo user and a key (needs only Go)
	$(GO) run ./cmd/stepup dev

.PHONY: demo
demo: ## run the calls that "make run" prints and check each answer
	$(GO) run ./cmd/stepup demo

## Test

# The DynamoDB stand-in. The stamp carries the lock file's checksum.
EMULATORS := test/emulators/node_modules/.installed-$(firstword $(shell cksum < test/emulators/package-lock.json))

.PHONY: emulators
emulators: $(EMULATORS)

$(EMULATORS):
	npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: test
test: $(EMULATORS) ## run all tests, with the race detector
	$(GO) test -race ./...

# One package at a time, so that benchmarks do not disturb each other.
.PHONY: bench
bench: $(EMULATORS) ## run the benchmarks
	$(GO) test -p 1 -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
		done; \
	done

FUZZTIME ?= 10s

## Code

.PHONY: build
build: ## compile every package
	$(GO) build ./...

.PHONY: fmt
fmt: $(BUF) $(LINTER) $(VALIDATE) ## format Go and proto files
	$(BIN)/golangci-lint fmt
	$(BIN)/buf format --write proto

.PHONY: lint
lint: $(BUF) $(LINTER) $(VALIDATE) ## check Go and proto files
	$(GO) vet ./...
	$(BIN)/golangci-lint run
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code proto

.PHONY: generate
generate: fresh ## write pkg/gen from proto
	rm -rf pkg/gen/zitadel
	cp -R $(CACHE)/gen/pkg/gen/zitadel pkg/gen/zitadel

.PHONY: check-generate
check-generate: fresh ## fail when pkg/gen is not what proto says
	@diff -r $(CACHE)/gen/pkg/gen/zitadel pkg/gen/zitadel \
		|| { echo "pkg/gen is out of date: run make generate" >&2; exit 1; }

# Generates beside the tree, so that a failure leaves the tree alone.
.PHONY: fresh
fresh: $(BUF) $(PLUGINS) $(VALIDATE)
	rm -rf $(CACHE)/gen
	$(BIN)/buf generate --output $(CACHE)/gen

.PHONY: clean
clean: ## remove what was built, except the tools
	rm -rf build $(CACHE)

## Function

ARCH ?= arm64
EVENT ?= events/set-session.rest.json
CFN_LINT ?= cfn-lint

# The template's CodeUri, without the name of the function.
BUILD ?= build

# Each folder of functions/ is one, and each is built into a folder of its name.
FUNCTIONS := api stream
SHA256SUM ?= sha256sum

# The same source gives the same bytes wherever it is built: no paths, no state of git.
.PHONY: bootstrap
bootstrap: ## build the functions for Lambda, with their checksums; ARCH=amd64 for the other processor
	@for function in $(FUNCTIONS); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w" \
			-o $(BUILD)/$$function/bootstrap ./functions/$$function; \
	done
	@cd $(BUILD) && $(SHA256SUM) $(FUNCTIONS:%=%/bootstrap) | tee SHA256SUMS

.PHONY: invoke
invoke: $(EMULATORS) ## run the function here on one event: EVENT=events/get-session.rest.json
	@$(GO) run ./functions/api/invoke $(EVENT)

.PHONY: lint-template
lint-template: ## check template.yaml with cfn-lint
	@command -v $(CFN_LINT) > /dev/null \
		|| { echo "$(CFN_LINT) is not installed: pipx install cfn-lint, or set CFN_LINT to its path" >&2; exit 1; }
	AWS_DEFAULT_REGION=us-east-1 $(CFN_LINT) --regions us-east-1 --template template.yaml

## Tools

$(BIN)/.%:
	cd tools/$(firstword $(subst -, ,$*)) && GOBIN=$(BIN) $(GO) install tool
	rm -f $(BIN)/.$(firstword $(subst -, ,$*))-*
	touch $@

# The plugin's own Go module holds the options that it reads.
$(VALIDATE): $(PLUGINS)
	mkdir -p $(@D)
	install -m 644 "$$(cd tools/gen && $(GO) list -m -f '{{.Dir}}' github.com/envoyproxy/protoc-gen-validate)/validate/validate.proto" $@
