"""The short form of ``python -m proofs.jobs.fairness``, its negative control, and the plans of the statements
that run all day."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from proofs.jobs.fairness import check_order, fill, measure, seeded
from storage import job_queries
from storage import jobs as rows
from storage.database import Database, open_database
from tests.jobs.statements import STATEMENTS, Work
from tests.storage.conftest import url_of
from tests.support.fresh import address_in


async def test_a_flood_by_one_delays_the_others_by_one_job_per_device_at_most(tmp_path: Path) -> None:
    figures = await measure(tmp_path, address_in(tmp_path), history=2000, flood=2000, others=15, choices=60)
    check_order(figures)


async def test_first_come_first_served_would_be_found(tmp_path: Path) -> None:
    with seeded("first come, first served"):
        figures = await measure(tmp_path, address_in(tmp_path), history=10, flood=60, others=5, choices=0)
    with pytest.raises(AssertionError, match="jobs per device"):
        check_order(figures)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    folder = tmp_path_factory.mktemp("plans")

    async def make() -> None:
        async with open_database(url_of(folder), None):
            pass

    asyncio.run(make())
    fill(url_of(folder), history=3000, flood=100)
    return folder


@pytest.mark.parametrize("name", STATEMENTS)
async def test_no_statement_of_a_jobs_life_scans_history(filled: Path, name: str) -> None:
    async with open_database(url_of(filled), None) as database:
        plans = await _plans(database, STATEMENTS[name])
    assert plans, "nothing was sent"
    for statement, steps in plans:
        for step in steps:
            assert not _scans(step), f"{statement}\n{step}"


async def test_a_scan_of_history_would_be_found(filled: Path) -> None:
    def careless(connection: sa.Connection) -> None:
        connection.execute(sa.select(rows.jobs.c.id).where(rows.jobs.c.device == "cpu"))

    async with open_database(url_of(filled), None) as database:
        ((_, steps),) = await _plans(database, careless)
    assert any(_scans(step) for step in steps)


def _scans(step: str) -> bool:
    """A walk over a whole table or index; one over a partial index sees only what it is about."""
    partial = ("jobs_queued", "jobs_running", "jobs_open")
    return step.startswith("SCAN") and not any(word in step for word in ("CONSTANT ROW", *partial))


async def _plans(database: Database, work: Work) -> list[tuple[str, list[str]]]:
    """Run ``work`` in a transaction that is rolled back, and explain everything it sent."""
    sent: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            sent.append((statement, parameters))

    engine = database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    plans = []

    def explain(connection: sa.Connection) -> None:
        work(connection)
        sa.event.remove(engine, "before_cursor_execute", note)
        for statement, parameters in sent:
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append((statement, [row.detail for row in found]))

    async with database.engine.connect() as connection:
        await connection.run_sync(explain)
        await connection.rollback()
    return plans


def test_the_conditions_of_partial_indexes_are_written_into_the_statements() -> None:
    assert "status = 'queued'" in str(job_queries.waiting_statement().compile(dialect=sqlite.dialect()))
