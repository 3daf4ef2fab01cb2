"""Among a million jobs nothing that is asked often, or while others wait to write, reads all of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from storage import conversations, privacy
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
    ],
)
async def test_no_statement_reads_all_jobs(
    database: Database, work: Callable[[sa.Connection], Any], index: str
) -> None:
    steps = list[str]()

    def explain(connection: sa.Connection, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            steps.extend(row[-1] for row in cursor.fetchall())

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", explain)
    await database.read(work)
    ours = [step for step in steps if "jobs" in step and "job_files" not in step]
    assert ours and all(index in step for step in ours), steps
