"""Among a million jobs nothing that is asked often, or while others wait to write, reads all of them."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from storage import conversations, privacy, turns
from storage.database import Database
from storage.projects import projects
from tests.storage.conftest import NOW


@pytest.mark.parametrize(
    ("work", "index"),
    [
        (partial(conversations.read_token_use, user_id=1, now=NOW), "jobs_unfinished_user"),
        (partial(conversations.list_coming, user_id=1), "jobs_unfinished_user"),
        (partial(privacy.unfinished, user_id=1), "jobs_unfinished_user"),
        (partial(projects.bundles, numbers={"p": {1}}), "jobs_bundles"),
        (
            partial(conversations.latest_question, channel_id=2, reader=1, since=NOW, own=False),
            "jobs_answered",
        ),
        (
            partial(conversations.latest_question, channel_id=2, reader=1, since=NOW, own=True),
            "jobs_answered",
        ),
        (partial(privacy.old_jobs, before=NOW), "jobs_told"),
        (partial(privacy.old_videos, before=NOW), "sqlite_autoindex_jobs"),
        (partial(turns.lineage, job_id="job"), "sqlite_autoindex_jobs"),
    ],
)
async def test_no_statement_reads_all_jobs(
    database: Database, work: Callable[[sa.Connection], Any], index: str
) -> None:
    ours = [step for step in await _steps(database, work) if "jobs" in step and "job_files" not in step]
    assert ours and all(index in step for step in ours), ours


@pytest.mark.parametrize(
    "work",
    [
        partial(turns.read_path, turn_id="turn"),
        partial(turns.read_making, root_id="turn", limit=100),
        partial(turns.read_tree, root_id="turn"),
        partial(turns.newest_turn, channel_id=2, user_id=1, surface="web", since=NOW),
        partial(turns.newest_turns, channel_id=2, user_id=1, since=NOW),
        partial(turns.conversations_of, user_id=1, limit=30),
        partial(turns.of_once, user_id=1, once="message:1"),
        partial(turns.said_as, once=["message:1"]),
        partial(turns.of_message, message_id=1),
        partial(turns.of_job, job_id="job"),
        partial(turns.count_open, user_id=1),
        turns.list_open,
        partial(turns.next_number, root_id="turn"),
        partial(turns.relink_turns, job_ids=["job"]),
        partial(turns.queued_as, user_id=1, request_key="turn:turn"),
    ],
)
async def test_no_question_about_turns_reads_all_of_them(
    database: Database, work: Callable[[sa.Connection], Any]
) -> None:
    steps = await _steps(database, work)
    read = [step for step in steps if re.search(r"\b(?:turns|jobs|messages|turn_pictures|pictures)\b", step)]
    scans = [step for step in read if step.startswith("SCAN") and "turns_open" not in step]
    assert read and scans == []


async def _steps(database: Database, work: Callable[[sa.Connection], Any]) -> list[str]:
    """What SQLite plans to do for each statement of some work."""
    steps = list[str]()

    def explain(connection: sa.Connection, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            steps.extend(row[-1] for row in cursor.fetchall())

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", explain)
    await database.read(work)
    return steps
