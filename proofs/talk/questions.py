"""What is asked of the rows of turns for each sentence, among 100,000 turns.

python -m proofs.talk.questions
python -m proofs.talk.questions --postgres
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.job import new_job_id
from core.talk import Decision
from storage import turns as rows
from storage.database import open_database
from storage.schema import jobs, pictures, turns
from tests.support import postgres
from tests.support.fresh import address_in

A_TALK, PEOPLE, CHANNELS, PAGE = 10, 2000, 3000, 2000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def written(dice: random.Random, count: int) -> tuple[list[dict[str, Any]], ...]:
    """Return rows of jobs, pictures and turns: conversations of ten turns, a tenth of them branches."""
    made, shown, said = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    decision = rows.decision_json(Decision(kind="change", about=(1,), changes=("make it blue",)))
    for n in range(count):
        at = BEGAN + timedelta(seconds=n)
        if n % A_TALK == 0:
            user, channel, mine = dice.randrange(1, PEOPLE), dice.randrange(1, CHANNELS), list[Any]()
        turn_id, job_id = new_job_id(), new_job_id()
        before = None if not mine else mine[-1] if dice.random() < 0.9 else dice.choice(mine)
        root = mine[0][0] if mine else turn_id
        kind = "imagine" if before is None else "edit"
        made.append(
            {"id": job_id, "kind": kind, "request": '{"prompt": "a red house"}', "prompt": "a red house"}
            | {"cost_key": f"{kind}||", "status": "delivered", "lane": "fast", "max_running": 3}
            | {"user_id": user, "channel_id": channel, "guild_id": 5, "file_limit": 1, "private": 0}
            | {"roles": "[]", "parent_id": before and before[1], "parent_index": before and 0}
            | dict.fromkeys(("created_at", "rendered_at", "finished_at", "delivered_at"), at)
        )
        shown.append(
            {"job_id": job_id, "position": 0, "sha256": f"{n:064}", "media_type": "image/png", "width": 64}
            | {"height": 64, "size": 9}
        )
        said.append(
            {"id": turn_id, "before_id": before and before[0], "root_id": root, "user_id": user}
            | {"channel_id": channel, "guild_id": 5, "surface": "discord", "roles": "[]", "private": 0}
            | {"once": f"message:{n}", "message_id": n + 1, "said": "make it blue", "kind": "change"}
            | {"by": "rules", "decision": decision, "number": len(mine) + 1, "job_id": job_id}
            | {"created_at": at, "is_open": 0, "reply": ""}
        )
        mine.append((turn_id, job_id))
    return made, shown, said


async def measure(address: str, folder: Path, count: int, asked: int) -> None:
    """Write the turns and ask each question of so many of them."""
    dice = random.Random(1)
    made, shown, said = written(dice, count)
    async with open_database(address, folder / "backups") as database:
        for table, new in ((jobs, made), (pictures, shown), (turns, said)):
            for page in (new[i : i + PAGE] for i in range(0, len(new), PAGE)):
                await database.write(lambda c, table=table, page=page: c.execute(sa.insert(table), page))
        since = BEGAN - timedelta(days=1)
        questions: dict[str, Callable[[dict[str, Any]], Callable[[sa.Connection], Any]]] = {
            "state: path up": lambda t: partial(rows.read_path, turn_id=t["id"]),
            "state: pictures of the conversation": lambda t: partial(
                rows.read_making, root_id=t["root_id"], limit=rows.MAX_PATH
            ),
            "where somebody stands": lambda t: partial(
                rows.newest_turn,
                channel_id=t["channel_id"],
                user_id=t["user_id"],
                surface="discord",
                since=since,
            ),
            "where a thread stands": lambda t: partial(
                rows.newest_turns, channel_id=t["channel_id"], user_id=t["user_id"], since=since
            ),
            "the whole tree": lambda t: partial(rows.read_tree, root_id=t["root_id"]),
            "the changes behind a picture": lambda t: partial(rows.lineage, job_id=t["job_id"]),
            "my conversations": lambda t: partial(rows.conversations_of, user_id=t["user_id"], limit=30),
        }
        for name, of in questions.items():
            times, computed = list[float](), list[float]()
            for turn in dice.sample(said, asked):
                began, used = time.perf_counter(), time.process_time()
                found = await database.read(of(turn))
                times.append(1000 * (time.perf_counter() - began))
                computed.append(1000 * (time.process_time() - used))
                assert found
            figures = []
            for values in (times, computed):
                values.sort()
                figures.append(f"p50 {values[asked // 2]:6.2f} ms, p99 {values[int(asked * 0.99)]:6.2f} ms")
            print(f"{name:36} {figures[0]}; of a processor {figures[1]}, n {asked}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=1000)
    parser.add_argument("--postgres", action="store_true", help="rows lie on a server")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turns-")))
        address = address_in(folder)
        if options.postgres:
            server = stack.enter_context(postgres.serving(durable=True))
            address = postgres.address(server.folder, postgres.TEMPLATE)
        asyncio.run(measure(address, folder, options.turns, options.asked))


if __name__ == "__main__":
    main()
