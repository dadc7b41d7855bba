# Everything sets itself up in .venv; only Python 3.11+, make and a Python package index are needed.
#
#   make demo     real pictures -> trained model -> report, about ten minutes on two CPU cores
#   make test     the default test suite
#   make check    formatting, lint, types
#   make bench-train   one JSON line: our training loop against a plain Trainer
#   make bench-data   one JSON line: reading articles and pictures against a plain loop of lxml and Pillow
#   make bench-rewards     JSON lines: memory and time of the rewards against a plain forward pass and a training step
#   make bench-alignment   JSON lines: a training step with the alignment objective against one without
#   make bench-labeller   JSON lines: our labeller of chest findings against labels of others, 30 MB of packages
#   make bench-eval   JSON lines: our local runner against LLaVA-Med's one-by-one loop, about five minutes
#   make bench-matching   JSON lines: our graph matching against exact enumeration, pygmtools and SciPy, four minutes
#
# TORCH: how to get PyTorch, for instance
#   make demo TORCH="torch==2.13.0 --index-url <the index that pytorch.org's selector names for your hardware>"
# Without it pip takes its index's default build, which on Linux includes CUDA (see docs/install.md).

PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format bench-train bench-matching bench-alignment bench-rewards bench-labeller bench-data bench-eval lock clean

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Osler needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (a minute or two)"
	@if [ -n '$(TORCH)' ]; then $(BIN)/python -m pip install --quiet $(TORCH); fi
	@$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/osler demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-train: $(READY)
	$(BIN)/python -m benchmarks.train

bench-matching: $(READY)
	@$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.matching

bench-alignment: $(READY)
	$(BIN)/python -m benchmarks.alignment

bench-rewards: $(READY)
	@$(BIN)/python -m benchmarks.rewards

bench-labeller: $(READY)
	@$(BIN)/python -m benchmarks.labeller --openi

bench-data: $(READY)
	@$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[bench]'
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.data

bench-eval: $(READY)
	@$(BIN)/python -m benchmarks.evaluation

lock: $(READY)
	@{ head -2 requirements.lock; $(BIN)/python -m pip freeze --exclude-editable | grep -v '^-e' | sed 's/+[a-z0-9.]*$$//' | sort -f; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis
