# make setup   the environment alone, in .venv
# make demo    the environment, then a synthesizer patch for a real recording
# make test    the environment, then every check
# make wheel   the package built, installed elsewhere and tried there
# make docs    the pages that are generated

PYTHON ?= python3
DEMO_SOUND ?= examples/rhodes_g3.flac
DEMO_OUT := out/demo

.PHONY: setup demo test wheel docs clean
.DEFAULT_GOAL := setup

# uv reads no pip configuration, so it is told where pip would look first.
UV_LINKS := UV_FIND_LINKS="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$$(.venv/bin/pip config get global.find-links \
	2>/dev/null || true)}}"

define INSTALL
$(PYTHON) -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check uv
$(UV_LINKS) .venv/bin/uv pip install --quiet --python .venv/bin/python --constraints constraints.txt --editable
endef

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(INSTALL) .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt
	$(INSTALL) '.[dev]'
	@touch .venv/installed $@

demo: setup
	@test -n '$(DEMO_SOUND)' || { echo 'error: there is no recording in examples/' >&2; exit 2; }
	.venv/bin/retimbre match '$(DEMO_SOUND)' --synth subtractive --out $(DEMO_OUT) --force
	@echo "The report: $(CURDIR)/$(DEMO_OUT)/$(basename $(notdir $(DEMO_SOUND)))/report.html"

test: .venv/installed-dev
	scripts/check

wheel: .venv/installed-dev
	$(UV_LINKS) scripts/check-wheel

docs: setup
	.venv/bin/python scripts/make_docs.py

clean:
	rm -rf .venv out
