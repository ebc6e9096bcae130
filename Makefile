# Bulla: `make` lists what can be made. Needed: Go 1.26, make, git. The outside judges of `make check` also need node.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BULLA := bin/bulla
DATA ?= data
FUZZTIME ?= 30s
SCREENSHOTS ?= screenshots
STATICCHECK := go tool -modfile=tools/go.mod staticcheck
WASM := ./credential/... ./circuits/... ./wallet/... ./ledger/client/... ./ledger/checkpoint/... ./ledger/entry/... ./internal/openid/... ./internal/jose/... ./internal/oauth/dpop/... ./internal/sdjwt/... ./internal/statuslist/... ./internal/bench/wasm/prove ./internal/qr/... ./web/wasm ./web/wasm/app ./web/wasm/scan

.PHONY: help build wallet-page run demo demo-ceremony test check check-without-test format vet staticcheck wasm generate judges screenshots bench bench-wasm bench-browser bench-peers bench-ledger-peers fuzz soak clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

build: wallet-page ## build bin/bulla
	go build -o $(BULLA) ./cmd/bulla

wallet-page: ## build the wallet's WebAssembly, which bin/bulla embeds
	go run ./web/wasm/build

run: build ## start everything on loopback, with development keys, and say what to try
	$(BULLA) serve --dev --data $(DATA)

demo: build ## tell the whole story in a terminal, in under a minute
	$(BULLA) demo

demo-ceremony: build ## hold a ceremony (some five minutes of processor time) and tell the story on its keys
	$(BULLA) demo --keys ceremony

test: wallet-page ## all tests that need Go only (about 5 minutes)
	go test -timeout 20m ./...

check: test check-without-test ## what CI runs: tests, format, vet, staticcheck, js/wasm, generate-and-clean, outside judges

check-without-test: format vet staticcheck wasm generate judges

format: ## fail if gofmt would change anything
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }

vet: ## go vet
	go vet ./...
	GOOS=js GOARCH=wasm go vet ./web/wasm/...

staticcheck: ## staticcheck, pinned in tools/go.mod
	$(STATICCHECK) ./...

wasm: ## build what runs in browsers
	GOOS=js GOARCH=wasm go build $(WASM)

generate: ## regenerate the test vectors; the tree must stay clean
	go generate ./testvectors
	@git diff --exit-code --stat -- testvectors || { echo "regenerating changed the test vectors: commit them with the reason"; exit 1; }

judges: ## implementations that are not ours check our formats (node)
	testvectors/check/run

screenshots: wallet-page ## write an image of every page into SCREENSHOTS=screenshots (needs Chromium)
	BULLA_JUDGES=required BULLA_SCREENSHOTS=$(abspath $(SCREENSHOTS)) go test -count=1 -run 'Browser|Wallet|Explorer|Shell' ./web/... ./internal/demo

bench: build ## measure; one JSON line a figure
	$(BULLA) bench --json

bench-wasm: ## measure the presentation as js/wasm in node, on one thread (node)
	go run ./internal/bench/wasm

bench-browser: wallet-page ## measure the wallet's page in Chromium: loads, and proofs with one worker and with several, in turns
	BULLA_ROUNDS=$${BULLA_ROUNDS:-9} go test -count=1 -v -timeout 30m -run WalletSpeed ./internal/demo

bench-peers: ## measure ourselves beside Semaphore v4 and Idemix, in turns (node; npm and Go packages)
	go run ./internal/bench/peers

bench-ledger-peers: ## measure the ledger beside Tessera, Pebble and a sparse Merkle tree, in turns (Go packages)
	go run ./internal/bench/ledgerpeers

fuzz: ## run each fuzz target for FUZZTIME=30s, one after another
	@git grep -oE '^func Fuzz[A-Za-z0-9]+' -- '*_test.go' | sed -E 's#^(.*)/[^/]*:func (.*)#./\1 \2#' | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package </dev/null || exit 1; \
	done

soak: ## hours of random operations and power cuts, and of fuzzing
	BULLA_SOAK=1 go test -timeout 24h ./...
	$(MAKE) fuzz FUZZTIME=5m

clean: ## remove what was built (not the data folder)
	rm -rf bin
