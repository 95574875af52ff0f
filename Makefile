# `make demo` and `make test` are all a fresh clone needs; both install what they use, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := samples/bigbuckbunny-160x90.mp4
DEMO := demo/bigbuckbunny.x4.mkv

# One more than two cores: tests that wait for a process leave theirs idle.
WORKERS ?= 3
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=10
# Runs a command, prints how long it took, and keeps its exit code.
timed = @begin=$$(date +%s); $(1); code=$$?; echo "make $@: the tests took $$(($$(date +%s) - begin)) s"; exit $$code

.PHONY: demo test test-long test-slow test-all lint check docs clean

$(VENV)/.installed: pyproject.toml constraints.txt scripts/install.sh
	PYTHON=$(PYTHON) scripts/install.sh $(VENV) runtime
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	PYTHON=$(PYTHON) scripts/install.sh $(VENV) test
	@touch $@

demo: $(VENV)/.installed
	@mkdir -p demo
	$(BIN)/vidsr enhance $(SAMPLE) --scale 4 --output $(DEMO) --overwrite
	@echo "The result is $(DEMO): compare it with $(SAMPLE)."

# Style only: code, and turns of phrase in the documents.
lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m scripts.check_prose

# All that needs no test to run: style, types, import contracts.
check: lint
	$(BIN)/mypy
	$(BIN)/lint-imports

# The fast tests, in $(WORKERS) processes of one thread each. CONTRIBUTING.md describes the suite.
test: check
	$(call timed,$(PYTEST) -m "not slow and not long")

# What takes more than five seconds a test: several processes, kills and resumes, whole flows in a browser, memory over many frames.
test-long: $(VENV)/.installed-test
	$(call timed,$(PYTEST) -m "long and not slow")

test-slow: $(VENV)/.installed-test
	$(call timed,$(PYTEST) -m slow)

# Every test, the slow ones too.
test-all: check
	$(call timed,$(PYTEST))

docs: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The pages are in site/: open site/index.html."

clean:
	rm -rf $(VENV) demo
