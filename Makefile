# Everything a developer or CI does, from a checkout, Python 3.11 or newer and make.

PYTHON  ?= python3
WORKERS ?= 2
# COVER=0 runs the tests without measuring, which is quicker while working.
COVER   ?= 1
# What the judge is asked: fresh worlds until every cell is hit, and all that is to be found.
JUDGE   ?= --mutants --naive
# How long the judge goes on: soak, and steady.
HOURS   ?= 1
MINUTES ?= 30
# What pytest is given: make test TESTS="tests/unit -k ledger" COVER=0
TESTS   ?= tests

# What was compiled is kept, whatever the machine says: else each process compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=

BIN     := .venv/bin
BENCH   := .venv-bench
READY   := .venv/.ready
READY_BENCH := $(BENCH)/.ready
CLIENTS := .venv-clients
READY_CLIENTS := $(CLIENTS)/.ready
CONNECTOR := .venv-connector
READY_CONNECTOR := $(CONNECTOR)/.ready
SCHEMA := .venv-schema
READY_SCHEMA := $(SCHEMA)/.ready
MUTATION := .venv-mutation
READY_MUTATION := $(MUTATION)/.ready
SBOM := .venv-sbom
READY_SBOM := $(SBOM)/.ready

# The parts whose every branch a test must take.
PURE := domain engine indicators signals strategies alerts simulation
PURE_FILES := strategy alert
comma := ,
empty :=
space := $(empty) $(empty)
PURE_INCLUDE := $(subst $(space),$(comma),$(strip \
	$(PURE:%=src/tradefleet/%/*) $(PURE_FILES:%=src/tradefleet/%.py)))
# Only they are measured, and only where they are proved (tests/measuring.py): it takes twice as long.
MEASURED := --cov-report= $(foreach part,$(PURE) $(PURE_FILES),--cov=tradefleet.$(part))
MEASURE := $(if $(filter 0,$(COVER)),,$(MEASURED))

.PHONY: help install run test cover-pure check lint types imports rules format bench lock clean mutation-score judge judge-processes soak steady sbom audit

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY) ## Make .venv, with all that developing needs

run: $(READY) ## Start the service with demo users and a simulated venue
	$(BIN)/tradefleet serve --demo

check: lint types imports rules ## All that is checked without running the code

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports --no-logo

rules: $(READY)
	$(BIN)/pytest tests/architecture

test: $(READY) $(READY_CLIENTS) $(READY_CONNECTOR) $(READY_SCHEMA) $(READY_SBOM) ## All tests, and every branch of the pure part (COVER=0: tests only)
	$(BIN)/pytest -n $(WORKERS) --dist=worksteal $(MEASURE) $(TESTS)
	@test $(COVER) = 0 || $(MAKE) --no-print-directory cover-pure

cover-pure: $(READY) ## Judge the last test run: each branch of the pure part was taken
	$(BIN)/coverage report --include='$(PURE_INCLUDE)' --fail-under=100

format: $(READY) ## Write the code as ruff would
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) $(READY_BENCH) ## Run the benchmarks
	$(BIN)/python -m benchmarks

mutation-score: $(READY_MUTATION) ## Change the code of orders and money in small ways; print what no test notices
	nice -n 10 $(MUTATION)/bin/python scripts/mutation_score.py $(MODULES)

judge: $(READY) ## Prove order safety: worlds of faults, crashes and takeovers, judged (JUDGE=…)
	$(BIN)/python -m judge $(JUDGE)

judge-processes: $(READY) ## The same over real processes and sockets, killed and stopped, on both databases
	$(BIN)/python -m judge --level 2 --seconds 60

soak: $(READY) ## Let the judge go on for HOURS=1 on all cores; memory must stay flat
	$(BIN)/python -m judge --soak $(HOURS) --json soak.json

steady: $(READY) ## Watch one whole service with 10,000 bots for MINUTES=30 among faults: memory, errors, /health, logs
	$(BIN)/python -m judge.processes.steady --minutes $(MINUTES) --json steady.json

sbom: $(READY_SBOM) ## List all that is pinned as CycloneDX in build/sbom, one file for each lock
	$(SBOM)/bin/python -m scripts.sbom

audit: $(READY_SBOM) ## Ask whether anything pinned is known to be vulnerable (1: it is, 2: a pin is wrong, 3: nobody answered)
	@$(SBOM)/bin/python -m scripts.audit $(LOCKS)

# uv alone decides here what is pinned: no index but the ordinary one, no local folder of wheels.
LOCK = env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS $(BIN)/uv pip compile \
	--quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

lock: $(BIN)/uv ## Pin the dependencies anew (UPGRADE=--upgrade: to their newest releases)
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) --extra charts pyproject.toml requirements/dev.in -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) requirements/bench.in -o requirements/bench.txt
	$(LOCK) requirements/clients.in -o requirements/clients.txt
	$(LOCK) requirements/connector.in -o requirements/connector.txt
	$(LOCK) requirements/schema.in -o requirements/schema.txt
	$(LOCK) requirements/sbom.in -o requirements/sbom.txt
	$(LOCK) --extra charts pyproject.toml requirements/dev.in requirements/mutation.in -c requirements/dev.txt -o requirements/mutation.txt
	@! grep -n '://' requirements/*.txt || { echo 'make: a lock file names an address'; exit 1; }

clean: ## Remove all that was made here
	rm -rf .venv $(BENCH) $(CLIENTS) $(CONNECTOR) $(SCHEMA) $(MUTATION) $(SBOM) build dist src/*.egg-info .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv: requirements/bootstrap.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no $(PYTHON) here. Install Python 3.11 or newer, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $$($(PYTHON) --version) is too old. Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: this Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The stamp is written last, so that an install that broke off is done again.
$(READY): $(BIN)/uv pyproject.toml requirements/dev.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation --editable .
	@touch $@

$(READY_BENCH): $(BIN)/uv requirements/bench.txt
	@test -x $(BENCH)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(BENCH)
	@$(BIN)/uv pip sync --quiet --python $(BENCH)/bin/python --require-hashes requirements/bench.txt
	@touch $@

$(READY_CLIENTS): $(BIN)/uv requirements/clients.txt
	@test -x $(CLIENTS)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(CLIENTS)
	@$(BIN)/uv pip sync --quiet --python $(CLIENTS)/bin/python --require-hashes requirements/clients.txt
	@touch $@

$(READY_CONNECTOR): $(BIN)/uv requirements/connector.txt
	@test -x $(CONNECTOR)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(CONNECTOR)
	@$(BIN)/uv pip sync --quiet --python $(CONNECTOR)/bin/python --require-hashes requirements/connector.txt
	@touch $@

$(READY_SCHEMA): $(BIN)/uv requirements/schema.txt
	@test -x $(SCHEMA)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(SCHEMA)
	@$(BIN)/uv pip sync --quiet --python $(SCHEMA)/bin/python --require-hashes requirements/schema.txt
	@touch $@

$(READY_MUTATION): $(BIN)/uv requirements/mutation.txt
	@test -x $(MUTATION)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(MUTATION)
	@$(BIN)/uv pip sync --quiet --python $(MUTATION)/bin/python --require-hashes requirements/mutation.txt
	@touch $@

$(READY_SBOM): $(BIN)/uv requirements/sbom.txt
	@test -x $(SBOM)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(SBOM)
	@$(BIN)/uv pip sync --quiet --python $(SBOM)/bin/python --require-hashes requirements/sbom.txt
	@touch $@
