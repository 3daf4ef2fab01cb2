"""What a bot that uses nothing of docs/evidence/scale.md pays for it: ``python -m proofs.host.plain_start``.

The bot's own process is started again and again, against a Discord on loopback and without a worker: as it
is, with the packages of scale out of reach, and, ``--against FOLDER``, from a checkout of another commit, in
turns. Told are the processor seconds until it is connected, and its memory then. ``--imports`` tells instead
what is imported on the way that belongs to several machines, and what that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import psutil

from core.settings import ROOT
from tests.wire.discord import Discord
from tests.wire.process import BotProcess

PACKAGES = ("nats", "obstore", "psycopg", "psycopg_binary", "opentelemetry", "ray", "nkeys")
FOLDERS = (  # of the program, that belong to several machines
    "jobs.cluster", "storage.engines.postgres", "storage.blobs.s3", "storage.blobs.local",
    "storage.copy_database", "host.elsewhere", "host.ray_launcher",
    "host.rows", "core.otlp",
)  # fmt: skip
LAUNCH = """
import runpy, sys
class Missing:
    names = set(filter(None, sys.argv.pop(1).split(",")))
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv[0] = "launch"
runpy.run_module("benchmarks.launch", run_name="__main__")
"""
SETTLES = 1.0  # s after it is connected until it is looked at
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")


class Plain(BotProcess):
    """A bot of the checkout in ``root`` for which packages are ``missing``."""

    root, missing = ROOT, ""
    flags: tuple[str, ...] = ()

    async def spawn(self, *options: str) -> None:
        launch = (sys.executable, *self.flags, "-c", LAUNCH, self.missing, self.discord.url)
        environment = self._env | {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1"}
        with self.log_file.open("ab") as log:
            self.started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *launch, "--pause", "3600", cwd=self.root, env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip


async def started(root: Path, missing: Sequence[str]) -> dict[str, float]:
    """Start one, and return what it took: seconds of the clock and of the processor, MB."""
    with tempfile.TemporaryDirectory() as folder:
        async with Discord() as discord:
            bot = Plain(discord, Path(folder))
            bot.root, bot.missing = root, ",".join(missing)
            async with bot:
                seconds, cpu = time.monotonic() - bot.started, bot.cpu_seconds
                await asyncio.sleep(SETTLES)
                assert bot.process is not None
                memory = psutil.Process(bot.process.pid).memory_full_info()
    return {
        "s of the processor until connected": cpu,
        "s until connected": seconds,
        "MB resident": memory.rss / 2**20,
        "MB of its own (PSS)": memory.pss / 2**20,
        "MB of its own (USS)": memory.uss / 2**20,
    }


async def imported() -> list[tuple[str, int]]:
    """Return what of several machines a plain bot imports, with microseconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        async with Discord() as discord:
            bot = Plain(discord, Path(folder))
            bot.flags = ("-X", "importtime")
            async with bot:
                pass
            found = [(name, int(took)) for took, name in IMPORT.findall(bot.log)]
    parts = (*FOLDERS, *PACKAGES)
    return [one for one in found if any(one[0] == part or one[0].startswith(f"{part}.") for part in parts)]


def main() -> None:
    """Measure, and print a row for each figure and variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--starts", type=int, default=9, help="of each, after one that doesn't count")
    parser.add_argument("--against", type=Path, help="a checkout of another commit")
    parser.add_argument("--imports", action="store_true")
    given = parser.parse_args()
    if given.imports:
        modules = asyncio.run(imported())
        for name, took in modules:
            print(f"{took / 1000:.2f} ms {name}")
        print(f"{len(modules)} modules, {sum(took for _, took in modules) / 1000:.1f} ms")
        return
    variants = {"as it is": (ROOT, ()), "without the packages": (ROOT, PACKAGES)}
    if given.against is not None:
        variants["the other commit"] = (given.against.resolve(), ())
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for turn in range(given.starts + 1):
        for name, (root, missing) in variants.items():
            figures = asyncio.run(started(root, missing))
            if turn:
                taken[name].append(figures)
        print(f"\r{turn} of {given.starts}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    first = taken["as it is"]
    for figure in first[0]:
        for name, found in taken.items():
            values = [one[figure] for one in found]
            apart = [one[figure] / own[figure] - 1 for one, own in zip(found, first, strict=True)]
            low, _, high = quantiles(values, n=4)
            print(
                f"{figure}, {name}: median {median(values):.2f}, half of them {low:.2f} to {high:.2f};"
                f" {median(apart):+.1%} in pairs"
            )


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main()
