# `make demo` and `make test` are all a fresh clone needs; both install what they use, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := samples/bigbuckbunny-160x90.mp4
DEMO := demo/bigbuckbunny.x4.mkv

.PHONY: demo test test-slow lint check docs clean

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

lint check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -m slow

docs: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The pages are in site/: open site/index.html."

clean:
	rm -rf $(VENV) demo
