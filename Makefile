# `make help` lists the targets. Everything is installed into .venv; servers that have to be
# fetched or built are kept in the user's cache folder (MAILROOM_CACHE_DIR moves it).
.DEFAULT_GOAL := help
.PHONY: help run test check bench servers setup lock FORCE

VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
STAMP := $(VENV)/installed-in

# `make setup PYTHON=/path/to/python3.12` takes that one.
PYTHON ?= python3.13 python3.12 python3.11 python3
# Arguments for the program that a target runs: make test ARGS="-k spool"
ARGS ?=
# By file: what a module's tests share is started once. In order: sorted by size, the few long tests
# of stacks come last, and one process waits. (xdist 3.8 reads no groups under pytest 9.2.)
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
TOOLCHAIN_ARGS := $(if $(MAILROOM_CACHE_DIR),--cache "$(MAILROOM_CACHE_DIR)") \
	$(if $(filter true,$(CI)),--required)

# Temporal's sandbox imports the workflow files anew for every workflow. Without cached bytecode
# each of those imports compiles them: 10 ms of CPU for every mail.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile | expand -t 8

run: $(STAMP) ## Mailroom on this machine, with sample mail and a phone in the browser
# exec: the signals that end make (Ctrl-C, kill) reach Mailroom itself, once.
	@exec $(VENV)/bin/mailroom dev $(ARGS)

test: servers ## all tests, with the servers they need
	@$(VENV)/bin/pytest $(PYTEST_ARGS) $(ARGS)

check: $(STAMP) ## format, lint, types, and who may import whom
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: $(STAMP) ## measures it
	@$(PYTHON_IN_VENV) -m mailroom.local.toolchain $(TOOLCHAIN_ARGS)
	@$(PYTHON_IN_VENV) -m bench $(ARGS)
	@$(PYTHON_IN_VENV) -m bench.imap
	@$(PYTHON_IN_VENV) -m bench.monitor
	@$(PYTHON_IN_VENV) -m bench.owners
	@$(PYTHON_IN_VENV) -m bench.spool
	@$(PYTHON_IN_VENV) -m bench.accept
	@$(PYTHON_IN_VENV) -m bench.letters
	@$(PYTHON_IN_VENV) -m bench.sessions
	@$(PYTHON_IN_VENV) -m bench.outbound
	@$(PYTHON_IN_VENV) -m bench.deliveries
	@$(PYTHON_IN_VENV) -m bench.queue
	@$(PYTHON_IN_VENV) -m bench.queue_suspend
	@$(PYTHON_IN_VENV) -m bench.queue_operations
	@$(PYTHON_IN_VENV) -m bench.queue_live

servers: $(STAMP) ## finds, fetches or builds the servers that the tests need
	@$(PYTHON_IN_VENV) -m mailroom.local.toolchain --tests $(TOOLCHAIN_ARGS)

setup: $(STAMP) ## only installs; the others do it by themselves
	@:

lock: ## writes requirements.lock anew from pyproject.toml; newer versions: ARGS=--upgrade
	@[ -x $(VENV)/bin/pip-compile ] || $(MAKE) setup
# The oldest Python we support needs everything that the newer ones need, and more.
	@$(PYTHON_IN_VENV) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "make lock needs Python 3.11: rm -r $(VENV); make setup PYTHON=python3.11" >&2; exit 1; }
	@env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/bin/pip-compile --quiet \
	  --generate-hashes --strip-extras --allow-unsafe --extra dev \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --output-file requirements.lock $(ARGS) pyproject.toml

# Written last, so that an interrupted installation is taken up again. It holds the folder: a
# checkout that was moved, or whose Python is gone, gets a new environment.
INSTALLED_IN := $(shell $(PYTHON_IN_VENV) -c 'print(open("$(STAMP)").read().strip())' 2>/dev/null)
ifneq "$(INSTALLED_IN)" "$(CURDIR)"
$(STAMP): FORCE
endif

$(STAMP): requirements.lock pyproject.toml
	@[ ! -f $@ ] || [ "$(INSTALLED_IN)" = "$(CURDIR)" ] || rm -rf $(VENV)
	@$(PYTHON_IN_VENV) -m pip --version >/dev/null 2>&1 || { $(MAKE_VENV) }
	@echo "Installing the packages of requirements.lock into $(VENV) (about a minute, once) ..." >&2
	@$(PYTHON_IN_VENV) -m pip install --quiet --require-hashes -r requirements.lock
	@$(PYTHON_IN_VENV) -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(PYTHON_IN_VENV) -m compileall -q worker.py workflows activities mailroom
	@echo "$(CURDIR)" >$@

define MAKE_VENV
rm -rf $(VENV); chosen=; bare=; \
for python in $(PYTHON); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
  if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then chosen=$$python; break; fi; \
  bare=$$python; \
done; \
if [ -n "$$chosen" ] && "$$chosen" -m venv $(VENV); then :; \
elif [ -n "$$bare$$chosen" ]; then \
  echo "$$bare$$chosen cannot make virtual environments: install its venv package" \
    "(Debian: apt-get install python3-venv) and try again." >&2; exit 1; \
else \
  echo "Mailroom needs Python 3.11 or newer: install it (https://www.python.org/downloads)" \
    "or say where it is with PYTHON=/path/to/python3." >&2; exit 1; \
fi;
endef
