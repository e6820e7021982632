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

# Each folder of tools/ is a module that pins programs; passwords pins a list, and openapi is
# one of our own. Its
# stamp carries the checksum of go.sum and not a time, so that a restored .bin counts as
# built after a fresh checkout.
tools = $(BIN)/.$(1)-$(firstword $(shell cksum < tools/$(1)/go.sum))
BUF := $(call tools,buf)
PLUGINS := $(call tools,gen)
LINTER := $(call tools,lint)
RUNNER := $(call tools,conformance)

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

# What tests need from npm: stand-ins for DynamoDB and SES, and the driver of a browser. A stamp
# carries its lock file's checksum.
installed = test/$(1)/node_modules/.installed-$(firstword $(shell cksum < test/$(1)/package-lock.json))
EMULATORS := $(call installed,emulators)
DRIVER := $(call installed,browser)

.PHONY: emulators
emulators: $(EMULATORS)

$(EMULATORS) $(DRIVER):
	npm ci --prefix $(patsubst %/node_modules/,%,$(dir $@)) --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: test
test: test-go test-browser ## run all tests

# A hash fills 19 MiB that nobody else sees. To watch them takes longer than to compute it.
RACE := -race -gcflags=github.com/go-crypt/x/argon2=-race=false

.PHONY: test-go
test-go: $(EMULATORS) ## run the Go tests, with the race detector
	$(GO) test $(RACE) ./...

.PHONY: test-browser
test-browser: $(DRIVER) ## run the passkey page in a real Chromium
	@chromium="$$(test/browser/find-chromium)"; \
	CHROMIUM="$$chromium" GO="$(GO)" npm test --prefix test/browser

# One package at a time, so that benchmarks do not disturb each other.
.PHONY: bench
bench: $(EMULATORS) ## run the benchmarks
	$(GO) test -p 1 -run '^$$' -bench . -benchmem ./...

.PHONY: bench-cold
bench-cold: $(EMULATORS) ## measure starts, calls, memory and size of the functions, beside one that does nothing
	$(GO) run ./test/coldstart

# PROVE_SEED repeats a workload; what the clients meet depends on the machine as well.
.PHONY: prove
prove: $(EMULATORS) ## look for histories and sequences that must not be, and kill servers, for PROVE_FOR (30s) and PROVE_CHECKS (200) each
	$(GO) test $(RACE) -count 1 -timeout 0 -v ./test/prove -prove.for $(PROVE_FOR) -prove.checks $(PROVE_CHECKS) -prove.seed $(PROVE_SEED)
	$(GO) test $(RACE) -count 1 -timeout 0 -v ./cmd/stepup -run TestKilledProcess -crash.for $(PROVE_FOR)

PROVE_FOR ?= 30s
PROVE_CHECKS ?= 200
PROVE_SEED ?= 1

# The messages of the server under test are those of the module that pins the runner.
.PHONY: suite
suite: $(BUF) $(PLUGINS)
	@$(BIN)/buf generate "$$(cd tools/conformance && $(GO) list -m -f '{{.Dir}}' connectrpc.com/conformance)/proto" \
		--template test/conformance/buf.gen.yaml --output test/conformance

# The server under test follows the project's own go.mod (-mod=mod).
.PHONY: conformance
conformance: suite $(RUNNER) ## run connectrpc's conformance suite against the server and the Lambda adapter
	@cd test/conformance && $(GO) vet -mod=mod . && $(GO) build -mod=mod -o $(CACHE)/conformance/server .
	@cd test/conformance && for door in server gateway; do \
		echo "== $$door"; \
		$(BIN)/connectconformance --mode server --conf $$door.yaml -v -- $(CACHE)/conformance/server -through $$door; \
	done

# Each also writes its section of docs/performance.md.
.PHONY: bench-load
bench-load: $(EMULATORS) ## measure calls under load on both stores, beside an echo (3 minutes)
	$(GO) run ./test/load load -write

.PHONY: bench-cost
bench-cost: $(EMULATORS) ## count what each call takes of DynamoDB, and what a million cost
	$(GO) run ./test/load cost -write

.PHONY: bench-growth
bench-growth: $(EMULATORS) ## compare calls on small and large stores; GROWTH="-bolt 1000000 -dynamo 100000" for more
	$(GO) run ./test/load growth -write $(GROWTH)

GROWTH ?=

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

# Modules of their own that have programs.
MODULES := test/conformance tools/openapi

.PHONY: lint
lint: $(BUF) $(LINTER) $(VALIDATE) suite ## check Go and proto files
	$(GO) vet ./...
	$(BIN)/golangci-lint run
	@for module in $(MODULES); do \
		echo "golangci-lint run, in $$module"; \
		(cd $$module && GOFLAGS=-mod=mod $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml) || exit 1; \
	done
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code proto

.PHONY: generate
generate: fresh ## write pkg/gen from proto, the OpenAPI document too, and the list of common passwords
	rm -rf $(GENERATED)
	@for folder in $(GENERATED); do cp -R $(CACHE)/gen/$$folder $$folder; done
	cp $(CACHE)/gen/$(OPENAPI) $(OPENAPI)
	cp $(CACHE)/gen/$(COMMON) $(COMMON)

.PHONY: security-bar
security-bar: ## write docs/security-bar.md from the names of the tests
	$(GO) test ./test/securitybar -run TestTheDocumentListsTheTestsOfToday -update

.PHONY: check-generate
check-generate: fresh ## fail when a generated file is out of date
	@(for file in $(GENERATED) $(OPENAPI) $(COMMON); do diff -r $(CACHE)/gen/$$file $$file || exit 1; done) \
		|| { echo "generated files are out of date: run make generate" >&2; exit 1; }

# Generates beside the tree, so that a failure leaves the tree alone.
.PHONY: fresh
fresh: $(BUF) $(PLUGINS) $(VALIDATE)
	rm -rf $(CACHE)/gen
	$(BIN)/buf generate --output $(CACHE)/gen
	mkdir -p $(CACHE)/gen/$(dir $(OPENAPI)) $(CACHE)/gen/$(dir $(COMMON))
	cd tools/openapi && $(GO) run . < $(CACHE)/gen/openapi/contract.swagger.json > $(CACHE)/gen/$(OPENAPI)
	cd tools/passwords && $(GO) mod download && awk 'length($$1) >= 8 { print $$1 }' \
		"$$($(GO) list -m -f '{{.Dir}}' github.com/trustelem/zxcvbn)/data/passwords.txt" | LC_ALL=C sort > $(CACHE)/gen/$(COMMON)

# What GET /openapi.json answers.
OPENAPI := pkg/gen/openapi/openapi.json

# One folder for each root of the proto packages.
GENERATED := pkg/gen/zitadel pkg/gen/stepup

# Passwords that leaked, by how often, in a module that tools/passwords pins. Shorter
# ones than the policy's least minimum are refused anyway.
COMMON := pkg/password/common.txt

.PHONY: clean
clean: ## remove what was built, except the tools
	rm -rf build $(CACHE)

## Functions

ARCH ?= arm64
EVENT ?= events/set-session.rest.json
CFN_LINT ?= cfn-lint

# The template's CodeUri, without the name of the function.
BUILD ?= build

# Each folder of functions/ is one, and each is built into a folder of its name.
FUNCTIONS := $(sort $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go)))
SHA256SUM ?= sha256sum

# Packages that are compiled without inlining, which makes the upload smaller: generated code
# and the SDK, in which a call costs little beside what it is for (docs/performance.md).
SMALL := github.com/aws/... github.com/grpc-ecosystem/... google.golang.org/grpc/... \
	github.com/stepup-auth/stepup/pkg/gen/...

# The same source gives the same bytes wherever it is built: no paths, no state of git.
.PHONY: bootstrap
bootstrap: ## build the functions for Lambda, with their checksums; ARCH=amd64 for the other processor
	@for function in $(FUNCTIONS); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -tags lambda.norpc,grpcnotrace -ldflags "-s -w" \
			$(SMALL:%=-gcflags=%=-l) \
			-o $(BUILD)/$$function/bootstrap ./functions/$$function; \
	done
	@cd $(BUILD) && $(SHA256SUM) $(FUNCTIONS:%=%/bootstrap) | tee SHA256SUMS

.PHONY: invoke
invoke: $(EMULATORS) ## run the function here on one event: EVENT=events/get-session.rest.json
	@$(GO) run ./functions/api/invoke $(EVENT)

## Deployment

ENV ?=
DRY_RUN ?=
ROLE ?= IAM_LOGIN_CLIENT
NAME ?= login
TEMPLATES := template.yaml $(sort $(wildcard infra/*.yaml))

.PHONY: deploy
deploy: bootstrap ## deploy ENV=dev, or with DRY_RUN=1 show what would change
	infra/deploy.sh $(if $(DRY_RUN),--dry-run) $(ENV)

.PHONY: api-key
api-key: ## issue an API key of ENV=dev with ROLE (IAM_LOGIN_CLIENT)
	@infra/api-key.sh $(ENV) $(ROLE) $(NAME)

.PHONY: image
image: ## build the container for gRPC: IMAGE=name:tag
	docker buildx build --platform linux/arm64 --tag $(IMAGE) .

IMAGE ?= stepup

.PHONY: lint-template
lint-template: ## check template.yaml and infra/ with cfn-lint
	@command -v $(CFN_LINT) > /dev/null \
		|| { echo "$(CFN_LINT) is not installed: pipx install cfn-lint, or set CFN_LINT to its path" >&2; exit 1; }
	@for template in $(TEMPLATES); do \
		echo "$(CFN_LINT) $$template"; \
		AWS_DEFAULT_REGION=us-east-1 $(CFN_LINT) --regions us-east-1 --template "$$template"; \
	done

## Tools

$(BIN)/.%:
	cd tools/$(firstword $(subst -, ,$*)) && GOBIN=$(BIN) $(GO) install tool
	rm -f $(BIN)/.$(firstword $(subst -, ,$*))-*
	touch $@

# The plugin's own Go module holds the options that it reads.
$(VALIDATE): $(PLUGINS)
	mkdir -p $(@D)
	install -m 644 "$$(cd tools/gen && $(GO) list -m -f '{{.Dir}}' github.com/envoyproxy/protoc-gen-validate)/validate/validate.proto" $@
