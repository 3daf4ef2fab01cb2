"""A million jobs of history, 200,000 that wait, and the product's own queue on a real PostgreSQL server.

``python -m proofs.scale.million``, or ``make scale-proof PROOF=million``. It needs 6 GB of disk, and some
minutes to make the rows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import tempfile
import time
from pathlib import Path

from host.process import collect_garbage, configure_gc
from proofs.scale.million.lives import Lives, Start, Studio
from proofs.scale.million.plans import Sent, send, sent, walks
from proofs.scale.million.rows import fill
from storage.database import open_database
from tests.jobs.statements import STATEMENTS
from tests.support import postgres

SLOTS = 64  # of the devices, where jobs come at a rate
SETTINGS = {"shared_buffers": "128MB"}  # as PostgreSQL comes


async def measured(
    address: str, server: int, folder: Path, at_once: list[int], rates: list[float], lives: int
) -> tuple[Start, list[Lives], Sent]:
    """Start a queue on the rows that are there, and let it go through ``lives`` jobs for each number at a
    time, and at each of the rates. Return with it what a life sends."""
    async with open_database(address, None) as database:
        studio = Studio(database, server, folder)
        gc.disable()  # as the program has it until its queue has started
        collecting = None
        try:
            start = await studio.start()
            print(start, flush=True)
            configure_gc()
            collecting = asyncio.create_task(collect_garbage(lambda: True))
            found = []
            for number in at_once:
                found.append(await studio.live(number, lives))
                print(found[-1], flush=True)
            for rate in rates:
                found.append(await studio.live(SLOTS, lives, rate=rate))
                print(found[-1], flush=True)
            with sent(database) as statements:
                await studio.live(min(at_once), 10, warm=0)
                for work in STATEMENTS.values():
                    await send(database, work)
        finally:
            if collecting is not None:
                collecting.cancel()
            await studio.queue.stop(0)
    return start, found, statements


def main() -> None:
    """Make the rows on a server of its own, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=1_000_000, help="jobs that are over")
    parser.add_argument("--waiting", type=int, default=200_000, help="jobs")
    parser.add_argument("--lives", type=int, default=1000, help="jobs for each number at a time")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--rates", type=float, nargs="*", default=[20, 40, 60], help="lives a second")
    given = parser.parse_args()
    server = postgres.Server(durable=True, settings=SETTINGS)
    with contextlib.ExitStack() as stack:
        stack.callback(server.remove)
        server.start()
        postgres.make_template(server.folder)
        began = time.monotonic()
        with postgres.connect(server.folder, postgres.TEMPLATE) as connection:
            fill(connection, given.history, given.waiting)
        print(f"rows made in {time.monotonic() - began:.0f} s", flush=True)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        assert server.process is not None
        address = postgres.address(server.folder, postgres.TEMPLATE)
        pid = server.process.pid
        *_, statements = asyncio.run(
            measured(address, pid, Path(folder), given.at_once, given.rates, given.lives)
        )
        with postgres.connect(server.folder, postgres.TEMPLATE) as connection:
            found = walks(connection, statements)
    print(
        f"{len(statements)} statements of a life, {len(found)} walk through a large table", *found, sep="\n"
    )
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
