# Needs Python >= 3.11 and make, nothing else: `make demo`, `make test`. Another Python: `make demo PYTHON=python3.12`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt

# One environment, two stages. A stamp is newer than what it was made from, so a second run installs nothing.
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test

RUN := runs/air_passengers
FORECAST := runs/air_passengers_forecast.csv
PICTURES := runs/air_passengers_pictures

WHEEL := build/wheel
WHEEL_VENV := build/wheel-venv

.PHONY: help demo test lint format types layers wheel-check docs bench clean

help:
	@echo 'make demo         install into .venv, train on monthly airline passengers, forecast, draw'
	@echo 'make test         install with the test tools, run every test'
	@echo 'make lint         ruff: rules and format            make format       mend what ruff can mend'
	@echo 'make types        mypy, strict                      make layers       import-linter'
	@echo 'make wheel-check  build the wheel and try it in an environment of its own'
	@echo 'make docs         write the generated pages         make bench        run the benchmarks'
	@echo 'make clean        remove what make made, the environment and the demo run included'

demo: $(INSTALLED)
	$(BIN)/tsforecast train configs/air_passengers.yaml --run $(RUN) --overwrite
	$(BIN)/tsforecast predict $(RUN) --out $(FORECAST) --plot $(PICTURES)
	@echo
	@echo 'forecast  $(FORECAST)'
	@echo 'scores    $(RUN)/metrics.json'
	@for picture in $(PICTURES)/*; do echo "picture   $$picture"; done

test: $(INSTALLED_TEST)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(INSTALLED_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED_TEST)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED_TEST)
	$(BIN)/mypy

layers: $(INSTALLED_TEST)
	$(BIN)/lint-imports --no-logo

# Tried from another folder, so that the sources beside us cannot stand in for what the wheel lacks. Importing every
# module finds a dependency that only the test tools bring along.
wheel-check: $(INSTALLED_TEST)
	rm -rf build
	$(BIN)/python -m build --wheel --outdir $(WHEEL)
	$(BIN)/python -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt $(WHEEL)/*.whl
	cd / && '$(CURDIR)/$(WHEEL_VENV)/bin/tsforecast' --version
	cd / && '$(CURDIR)/$(WHEEL_VENV)/bin/tsforecast' --help
	cd / && '$(CURDIR)/$(WHEEL_VENV)/bin/python' -c 'import importlib, pkgutil, tsforecast; \
		modules = pkgutil.walk_packages(tsforecast.__path__, "tsforecast."); \
		print(len([importlib.import_module(module.name) for module in modules]), "modules import"); \
		from tsforecast.pictures.report import Page, Verdict, render; \
		print(len(render(Page(title="", subtitle="", verdict=Verdict("none", "", [], [], [])))), "letters of a page")'

docs: $(INSTALLED)
	$(BIN)/python -m tsforecast.config.reference > docs/config.md.new && mv docs/config.md.new docs/config.md
	$(BIN)/python -m tsforecast.config.reference jobs > docs/jobs.md.new && mv docs/jobs.md.new docs/jobs.md
	$(BIN)/tsforecast config schema > configs/schema.json.new && mv configs/schema.json.new configs/schema.json
	$(BIN)/tsforecast config schema --jobs > configs/jobs.schema.json.new \
		&& mv configs/jobs.schema.json.new configs/jobs.schema.json
	$(BIN)/python docs/draw_cells.py

bench: $(INSTALLED_TEST)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/read_speed.py
	$(BIN)/python benchmarks/train_speed.py
	$(BIN)/python benchmarks/adding_problem.py --out build/adding_problem.png

clean:
	rm -rf $(VENV) build dist ./*.egg-info $(RUN) $(FORECAST) $(PICTURES)
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/pip
	@echo 'Installing into $(VENV); the first time takes a few minutes.'
	$(PIP_INSTALL) --editable .
	@touch $@

$(INSTALLED_TEST): pyproject.toml constraints.txt | $(BIN)/pip
	@echo 'Installing into $(VENV); the first time takes a few minutes.'
	$(PIP_INSTALL) --editable '.[test]'
	@touch $(INSTALLED) $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "tsforecast needs Python 3.11 or newer; '$(PYTHON)' is not: try make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
