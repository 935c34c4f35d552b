# Two commands: `make demo` shows JARVIS at work, `make test` runs everything CI runs.
# Standard output belongs to the program (`make demo ARGS='--once --json' | jq .`); talk goes to standard error.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test eval storm drill fuzz build fetch fmt sqlx

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Fetch, build and start a demo gym; ARGS='--once --json' prints one JSON object and ends
	@exec scripts/fetch.py -- $(TARGET_DIR)/debug/jarvis demo $(ARGS)

test: ## Run everything CI runs; ONLY='fmt clippy' runs some steps, ARGS goes to cargo nextest
	@scripts/prerequisites.sh --test
	@scripts/check.py $(if $(ONLY),--only '$(ONLY)') -- $(ARGS)

eval: build ## Measure on every labelled set again and write docs/eval.md
	@exec scripts/fetch.py -- $(TARGET_DIR)/debug/jarvis eval report --write docs/eval.md

drill: ## Replace an earlier program by this one under load; OLD=<commit> chooses which
	@scripts/prerequisites.sh --test
	@scripts/drill.py $(if $(OLD),--old '$(OLD)')

storm: ## Run the long failure tests, about ten minutes; SEED=1 makes the same choices again
	@scripts/prerequisites.sh --test
	@scripts/check.py --storm $(if $(SEED),--seed '$(SEED)') -- $(ARGS)

fuzz: ## Try the API for minutes with requests made from its document; SEED=n repeats a run
	@scripts/prerequisites.sh --test
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed" >&2; JARVIS_FUZZ_SEED=$$seed JARVIS_FUZZ_EXAMPLES=$(or $(EXAMPLES),150) \
	  scripts/check.py --only tests -- -E 'test(schema_fuzz)' --no-capture

build: fetch ## Build the program as the demo uses it
	@SQLX_OFFLINE=true cargo build --locked --bin jarvis >&2

fetch: ## Fetch PostgreSQL and the embedding weights into the cache
	@scripts/prerequisites.sh
	@scripts/fetch.py

fmt: ## Format the code
	@cargo fmt --all

sqlx: ## Write .sqlx again after a query changed (needs no database of yours)
	@scripts/check.py --write-sqlx
