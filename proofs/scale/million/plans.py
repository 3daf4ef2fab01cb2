"""How PostgreSQL would go about what the program asks of it: whether anything walks through a large table.

Both plans that a server makes of a prepared statement are looked at: the one for the values at hand, and the
one for any values, which it takes up after five times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from storage.database import Database

LARGE = 5000  # rows of a table that nothing may walk through
PATIENCE = 2000  # ms
SMALL_INDEXES = ("jobs_queued", "jobs_running", "jobs_open", "jobs_unfinished_user")  # of what isn't over
ASKED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
_VALUE = re.compile(r"%\((\w+)\)s")
Sent = dict[str, Any]  # statement → values that it was sent with


@contextmanager
def sent(database: Database) -> Iterator[Sent]:
    """Give what a database is asked in the block, each statement once."""
    found: Sent = {}

    def note(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith(ASKED) and not statement.endswith("BEGIN"):
            found.setdefault(statement, values if isinstance(values, dict) else values[0])

    assert database._server is not None
    engines = [one.sync_engine for one in (database._server.readers, database._server.writer)]
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


async def send(database: Database, work: Callable[[sa.Connection], Any]) -> None:
    """Run ``work`` with the writer's connection, not for long, and keep nothing of it."""
    assert database._server is not None
    async with database._server.writer.connect() as connection:
        await connection.exec_driver_sql(f"SET LOCAL statement_timeout = {PATIENCE}")
        with suppress(OperationalError):  # to cancel all that wait takes longer: what was sent is known
            await connection.run_sync(work)
        await connection.rollback()


def walks(connection: Any, statements: Sent) -> list[str]:
    """Return those of the statements that would walk through a large table, with how. connection: a plain one
    to the same database."""
    large = {
        name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE reltuples > %s", [LARGE])
    }
    found = []
    for statement, values in statements.items():
        for how in ("force_custom_plan", "force_generic_plan"):
            steps = list(_walks(_plan(connection, statement, values or {}, how), large, limited=False))
            found += [f"{how}: {step}: {statement}" for step in steps]
    return found


def _plan(connection: Any, statement: str, values: Any, how: str) -> Any:
    from psycopg.sql import Literal

    names = list(dict.fromkeys(_VALUE.findall(statement)))
    text = _VALUE.sub(lambda match: f"${names.index(match[1]) + 1}", statement).replace("%%", "%")
    given = ", ".join(Literal(values[name]).as_string(connection) for name in names)
    connection.execute(f"SET plan_cache_mode = {how}")
    connection.execute(f"PREPARE one AS {text}")
    try:
        call = f"EXPLAIN (FORMAT JSON) EXECUTE one{f'({given})' if names else ''}"
        ((plans,),) = connection.execute(call).fetchall()
    finally:
        connection.execute("DEALLOCATE one")
    return plans[0]["Plan"]


def _walks(node: Any, large: set[str], *, limited: bool) -> Iterator[str]:
    kind, index = node["Node Type"], node.get("Index Name", "")
    if kind == "Seq Scan" and node["Relation Name"] in large:
        yield f"Seq Scan on {node['Relation Name']}"
    small = index.startswith(SMALL_INDEXES) or limited
    if kind.startswith(("Index", "Bitmap Index")) and "Index Cond" not in node and not small:
        yield f"{kind} of all of {index}"
    parts: Sequence[Any] = node.get("Plans", ())
    for part in parts:
        yield from _walks(part, large, limited=kind == "Limit" or limited and kind == "Result")
