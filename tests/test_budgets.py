"""What a start costs, counted instead of timed, against the release before: modules that a bot and a worker
import, and megabytes of packages that `make run` installs. What only extras install counts as not there."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
import torch
from packaging.requirements import Requirement

from core.settings import ROOT

BEFORE = {  # of the release before: docs/develop/release.md
    "modules of a bot with its web and the simulated Discord": 1_096,
    "modules of a worker that has loaded the demo model": 3_626,
    "MB of packages": 1_119,
}
MORE = 1.02  # times what it was, at most: a library's next version may bring a few modules
START = """
import json, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))  # importing one of them fails
{code}
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""
BOT = "import bot.client, bot.sandbox, host.app, web.app"
WORKER = """
from pathlib import Path
from core.settings import load_settings
from vision.protocol import WorkerConfig
from vision.worker import main

settings = load_settings({}, Path("/nowhere"))
config = WorkerConfig("cpu", settings.models, str(settings.data_dir / "cache"), allow_download=False)
main.prepare_environment(config)
models, _ = main.start(config, 1)
models.image(None)
"""


def installed() -> dict[str, int]:
    """Each package of `make run` without a card and its bytes, by what the packages say of themselves."""
    found: dict[str, int] = {}
    wanted = [Requirement("atelier-studio[photo]")]
    seen = set[tuple[str, frozenset[str]]]()
    while wanted:
        one = wanted.pop()
        name, extras = re.sub(r"[-_.]+", "-", one.name).lower(), frozenset(one.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another system
            continue
        found[name] = sum(file.size or 0 for file in package.files or ())
        for line in package.requires or ():
            needs = Requirement(line)
            if needs.marker is None or any(
                needs.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            ):
                wanted.append(needs)
    return found


def imported(code: str) -> set[str]:
    """The modules that a process has imported which has run ``code``."""
    packages, kept = packages_distributions(), set(installed())
    extra = [
        name
        for name, owners in packages.items()
        if not kept & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    ]
    command = [sys.executable, "-c", START.format(code=code), json.dumps(extra)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=280)
    return set(json.loads(run.stdout.splitlines()[-1]))


def is_no_more(figure: str, now: float) -> None:
    assert now <= MORE * BEFORE[figure], f"{figure}: {now:,.0f}; {BEFORE[figure]:,} before"
    assert now >= 0.9 * BEFORE[figure], f"{figure}: {now:,.0f}: write it down, so that it stays"


def test_a_bot_imports_no_more_than_before() -> None:
    is_no_more("modules of a bot with its web and the simulated Discord", len(imported(BOT)))


@pytest.mark.slow
def test_a_worker_imports_no_more_than_before() -> None:
    found = imported(WORKER)
    assert "scipy" not in found
    is_no_more("modules of a worker that has loaded the demo model", len(found))


@pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="without a card")
def test_a_set_up_is_no_larger_than_before() -> None:
    sizes = installed()
    assert {"pytest", "mypy", "ruff", "scipy", "moto"} & set(sizes) == set()
    is_no_more("MB of packages", sum(sizes.values()) / 2**20)
