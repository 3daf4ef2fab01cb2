"""A launcher, a bot and agents as processes of their own, with a fake worker: ``python -m
proofs.host.ray.live launcher …``, ``… worker --attached``, ``… bot FOLDER COUNT STEPS DELAY``."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from core.settings import load_settings
from host.cli import parser
from host.ray_launcher import launch
from host.worker_app import work
from jobs.cluster.executor import BusExecutor, answer_load
from jobs.cluster.nats import connected
from tests.jobs.cluster.live import LIMITS, Plan, ask_for
from tests.jobs.conftest import open_queue

WORKER = (sys.executable, "-m", "proofs.host.ray.live", "worker", "--attached")


async def _bot(folder: Path, plan: Plan) -> None:
    async with connected(load_settings()) as bus:
        await bus.until_up(30)
        executor = BusExecutor(bus, folder / "scratch")
        async with open_queue(folder, executor, LIMITS) as queue:
            telling = asyncio.create_task(answer_load(bus, queue))
            await ask_for(plan, folder, queue)
            await telling


def main() -> int:
    what, *rest = sys.argv[1:]
    if what == "worker":
        return work(load_settings(), target="tests.jobs.fake_worker:main", attached=True)
    if what == "launcher":
        return launch(load_settings(), parser().parse_args(["workers", "ray", *rest]), WORKER)
    logging.basicConfig(level="WARNING", format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_bot(Path(rest[0]), Plan(int(rest[1]), int(rest[2]), float(rest[3]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
