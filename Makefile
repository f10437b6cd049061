# Everything is done through these targets; `make help` lists them.

PYTHON ?= $(shell for python in python3 python3.13; do \
  "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && echo "$$python" && break; done)
PORT ?= 4566
NAME ?= demo
ACCOUNT ?= 000000000001
PHOTOS ?=
STACK ?= catalog-images

FUZZ_SECONDS ?= 120
IMAGES ?=

DEV := .venvs/dev/bin
BENCH := .venvs/bench/bin
SAM := .venvs/sam/bin/sam
EMULATOR = --port $(PORT) --name $(NAME) --account $(ACCOUNT)
TEMPLATES := template.yaml $(wildcard infra/*.yaml)
export SAM_CLI_TELEMETRY = 0

.DEFAULT_GOAL := help
.PHONY: help demo test test-here test-deployed test-clients coverage storm catalog fuzz mutation bench check lint audit documents format up down deploy build requirements clean python \
  environments bench-environment doctor dead-letters redrive

help: ## This list
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo PHOTOS=<folder>   any folder of your own; PORT=, NAME= and ACCOUNT= choose the emulator"

# ── Try it ──────────────────────────────────────────────────────────────────────────────────────────────────

demo: environments ## Push photos through the whole pipeline on this machine and show them
	@$(DEV)/python -m infra.local.demo $(EMULATOR) $(if $(PHOTOS),--photos "$(PHOTOS)")

up: environments ## Start the local AWS emulator
	@$(DEV)/python -m infra.local.emulator up $(EMULATOR)

down: environments ## Stop it; what it holds is kept for the next `make up`
	@$(DEV)/python -m infra.local.emulator down $(EMULATOR)

deploy: environments ## Build and deploy the application to the emulator; PRESETS_FILE=<json>, CDN=true
	@$(DEV)/python -m infra.local.deploy $(EMULATOR) $(if $(PRESETS_FILE),--presets "$(PRESETS_FILE)") $(if $(CDN),--cdn)

# ── Before a commit ─────────────────────────────────────────────────────────────────────────────────────────

lint: environments ## Format and lint, in seconds (.pre-commit-config.yaml)
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .

check: lint ## Format, lint, types, import rules, templates, IAM policies, licences, documents, client's wheel
	$(DEV)/mypy layers functions
	for version in 3.11 3.14; do $(DEV)/mypy --python-version $$version clients/python/src/catalog_images || exit 1; done
	$(DEV)/python -m infra.python_client --check
	$(DEV)/pytest -q tests/unit/test_architecture.py tests/unit/test_licences.py tests/template/test_policies.py
	$(DEV)/cfn-lint $(TEMPLATES)
	$(SAM) validate --lint --region us-east-1
	$(DEV)/python -m infra.documents --check
	$(DEV)/python -m infra.wheels --allow-offline

documents: environments ## Write what documents and the Python client take from code, template and contract
	$(DEV)/python -m infra.python_client
	$(DEV)/python -m infra.documents

audit: environments ## Known vulnerabilities of every pinned package; fails where it could not ask
	for file in layers/*/requirements.txt requirements/*.txt; do echo "$$file"; \
	  $(DEV)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r "$$file" || exit 1; done

# What tests/clients and the browser's test need besides: nothing unless it is asked for.
NPM := $(shell command -v npm)
NODE_PACKAGES := $(if $(filter tests tests/ tests/clients% $(and $(NPM),tests/end_to_end%),$(TESTS)),.venvs/node/.installed)

wheels: environments ## Download every pinned wheel for arm64 macOS and Linux, and check its hash
	$(DEV)/python -m infra.wheels --download

test: environments $(NODE_PACKAGES) ## Every test: unit, functional, template, then end-to-end; or TESTS="tests/unit -k preset"
ifdef TESTS
	$(DEV)/pytest $(TESTS)
else
	@$(MAKE) --no-print-directory -j 2 test-here test-deployed
	@$(if $(NPM),$(MAKE) --no-print-directory test-clients,echo "Not run: tests/clients, browsers. Install Node 20 with npm.")
endif

# The costliest first, so that no worker ends with it alone.
test-here: environments
	$(DEV)/pytest -n 2 --dist worksteal tests/hostile tests/functional tests/unit tests/template

# Waits for queues most of its time, so the others run meanwhile.  What it says comes when it has ended.
test-deployed: environments $(if $(NPM),.venvs/node/.installed)
	@mkdir -p .local; $(DEV)/pytest tests/end_to_end > .local/end-to-end-tests.log 2>&1; \
	  status=$$?; cat .local/end-to-end-tests.log; exit $$status

coverage: environments ## Branches of layers and functions that the tests take, and lines they miss; not end-to-end
	@mkdir -p .local/coverage; $(DEV)/coverage erase
	$(DEV)/coverage run -m pytest -n 2 --dist worksteal tests/hostile tests/functional tests/unit
	@$(DEV)/coverage combine --quiet; $(DEV)/coverage report

test-clients: environments .venvs/node/.installed
	$(DEV)/pytest tests/clients

.venvs/node/.installed: requirements/node/package-lock.json
	@test -n "$(NPM)" || { echo "error: this needs Node 20 or newer with npm" >&2; exit 1; }
	mkdir -p .venvs/node && cp requirements/node/*.json .venvs/node/
	npm ci --prefix .venvs/node --no-audit --no-fund --loglevel error && touch $@

format: environments ## Format the code and sort its imports
	$(DEV)/ruff format .
	$(DEV)/ruff check --fix .

# ── Prove it (docs/performance.md, SECURITY.md) ─────────────────────────────────────────────────────────────

storm: environments ## 300 uploads of 12 clients and two jobs, faults injected, workers killed; SEED=, UPLOADS=
	$(DEV)/python -m tests.storm $(if $(SEED),--seed $(SEED)) $(if $(UPLOADS),--uploads $(UPLOADS)) $(STORM)

catalog: environments ## 1,000 photos imported, rebuilt, searched, recounted, erased; OBJECTS=, PHOTOS=<folder>
	$(DEV)/python -m tests.catalog $(if $(OBJECTS),--photos $(OBJECTS)) $(if $(PHOTOS),--folder "$(PHOTOS)")

fuzz: environments bench-environment ## Coverage-guided fuzzing of the imaging layer; FUZZ_SECONDS=
	$(BENCH)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

MUTATION := .local/mutation

mutation: environments bench-environment ## Change the domain in some 880 ways and count which of them the unit tests notice
	@rm -rf $(MUTATION); mkdir -p $(MUTATION)/layers; cp -R layers/imaging $(MUTATION)/layers/
	@cp -R layers/catalog $(MUTATION)/src; cp -R functions infra benchmarks tests docs template.yaml pyproject.toml $(MUTATION)
	cd $(MUTATION) && nice -n 10 $(CURDIR)/$(BENCH)/mutmut run --max-children 1
	cd $(MUTATION) && $(CURDIR)/$(BENCH)/mutmut results

bench: environments bench-environment ## Every benchmark, on the photos in IMAGES=<folder>, or drawn ones
	$(BENCH)/python -m benchmarks $(if $(IMAGES),--images "$(IMAGES)")

# ── For AWS ─────────────────────────────────────────────────────────────────────────────────────────────────

build: environments ## Build for AWS; then `.venvs/sam/bin/sam deploy --guided`
	PATH="$(CURDIR)/.venvs/sam/bin:$$PATH" $(SAM) build

# ── Operate (docs/operations.md), with the credentials of the environment ───────────────────────────────────

doctor: environments ## Before a deployment to AWS: names, quotas, log role, buckets; STACK=, SET="Name=value ..."
	@$(DEV)/python -m infra.operator.doctor --stack "$(STACK)" $(SET:%=--set %)

dead-letters: environments ## Show what failed for good, and why; STACK=, QUEUES="uploads render"
	@$(DEV)/python -m infra.operator.dead_letters list --stack "$(STACK)" $(QUEUES:%=--queue %)

redrive: environments ## Send it back to be tried again; DRY_RUN=1 shows what would be sent
	@$(DEV)/python -m infra.operator.dead_letters redrive --stack "$(STACK)" $(QUEUES:%=--queue %) \
	  $(if $(DRY_RUN),--dry-run)

# ── Environments ────────────────────────────────────────────────────────────────────────────────────────────

python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.13 is needed (the functions run on it) and neither" \
	  "python3 nor python3.13 is it. Install it, or: make PYTHON=/path/to/python3.13 ..." >&2; exit 1; }

environments: python ## Install what is pinned in requirements/ (costs nothing when it is there)
	@$(PYTHON) -m infra.local.environments

bench-environment: python
	@$(PYTHON) -m infra.local.environments bench

COMPILE = $(DEV)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
  --python-version 3.13

requirements: environments ## Lock the dependency groups of pyproject.toml: pinned, with hashes
	for group in bootstrap sam emulator dev; do \
	  $(COMPILE) --group $$group -o requirements/$$group.txt || exit 1; done
	$(COMPILE) --group bench -c requirements/dev.txt -o requirements/bench.txt
	for layer in catalog imaging; do \
	  $(COMPILE) --no-deps --no-annotate --group $$layer-layer -o layers/$$layer/requirements.txt || exit 1; done

clean: python ## Stop the emulator and remove everything that can be made again
	@if [ -x $(DEV)/python ]; then $(DEV)/python -m infra.local.emulator down $(EMULATOR); fi
	rm -rf .aws-sam .demo .local .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis
