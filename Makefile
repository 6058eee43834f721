# Each target makes what it needs: .venv, and the Debian packages that are missing (it says which).
PYTHON ?= python3
BIN := .venv/bin
# Two at a time, a file's tests on one of them: they share its fixtures, and a guest waits more than it works.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder
PREFIX ?= /opt/snowshed
BINDIR ?= /usr/local/bin
MANDIR ?= /usr/local/share/man/man1

.PHONY: demo test check unit lint docs integration vm bench packages install uninstall clean help
.DEFAULT_GOAL := help

help: ## what there is
	@awk -F':.*## ' '/^[a-z -]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: packages $(BIN)/snowshed ## a Linux builder from nothing, and two builds on it
	@$(BIN)/python examples/demo.py

install: ## the command for everybody, root included: sudo make install
	@$(PYTHON) -m venv $(PREFIX) 2>/dev/null || { ./scripts/packages python3-venv && $(PYTHON) -m venv --clear $(PREFIX); }
	@$(PREFIX)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt .
	@mkdir -p $(BINDIR) $(MANDIR) && ln -sf $(PREFIX)/bin/snowshed $(BINDIR)/snowshed
	@ln -sf $(PREFIX)/share/man/man1/snowshed.1 $(MANDIR)/snowshed.1
	@echo "$(BINDIR)/snowshed is there; sudo make uninstall takes it away"

uninstall: ## what install has put there; builders and images stay
	rm -rf $(PREFIX) $(BINDIR)/snowshed $(MANDIR)/snowshed.1

test: packages $(BIN)/pytest lint docs ## everything, real guests included (under 20 minutes on two cores)
	$(PYTEST) tests/unit tests/nix tests/integration tests/vm

check: packages $(BIN)/pytest lint ## lint, types, unit tests (under a minute)
	$(PYTEST) tests/unit -q

unit integration vm: packages $(BIN)/pytest ## one part of the tests
	$(PYTEST) tests/$@

bench: packages $(BIN)/snowshed ## the numbers, as ratios within one run
	@for program in bench/*.py; do echo "== $$program"; $(BIN)/python $$program || exit; done

lint: $(BIN)/pytest ## lint, form, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(BIN)/mkdocs ## the documentation, into site/; fails for a link that leads nowhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

packages:
	@./scripts/packages

$(BIN)/python:
	@$(PYTHON) -m venv .venv 2>/dev/null || { ./scripts/packages python3-venv && $(PYTHON) -m venv --clear .venv; }

$(BIN)/snowshed: pyproject.toml constraints.txt $(BIN)/python
	@echo "Installing snowshed into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(BIN)/pytest: pyproject.toml constraints.txt | $(BIN)/snowshed
	@echo "Installing the tests' tools into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

$(BIN)/mkdocs: pyproject.toml constraints.txt | $(BIN)/snowshed
	@echo "Installing the documentation's tools into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

clean: ## .venv and caches of tools; builders and images stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist site
