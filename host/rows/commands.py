"""``atelier migrate`` and ``atelier move-database``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy.engine import make_url

from core.errors import StorageError
from core.settings import Settings
from storage.copy_database import Moved, move
from storage.database import open_database


def migrate(settings: Settings) -> int:
    """Bring the database to this program's schema. Return the exit status."""

    async def run() -> None:
        async with open_database(settings.database, settings.backups, may_migrate=True):
            pass

    asyncio.run(run())
    print("The database has this program's schema. `atelier run` starts.")
    return 0


def move_database(settings: Settings, address: str, *, restart: bool) -> int:
    """Move every row to the database at ``address``. Return the exit status.

    Raises StorageError when one of the two can't be opened, or the target holds other rows.
    """
    if not address.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise StorageError(f"{address}: takes sqlite:///path or postgresql+psycopg://….")
    if _name(address) == _name(settings.database):
        raise StorageError("The rows are there already: that is what DATABASE_URL names.")
    moved = asyncio.run(_move(settings, address, restart=restart))
    for table, summary in moved.tables.items():
        if summary.rows:
            print(f"  {table}: {summary}")
    if moved.cleaned:
        print(f"{moved.cleaned} texts held NUL characters, which PostgreSQL can't keep: these were left out.")
    print(
        f"{moved.rows} rows in {len(moved.tables)} tables are there, the same on both sides by count and"
        " SHA-256. Pictures stay where they are.\nSet DATABASE_URL to the new address and start Atelier. What"
        " it came from has a note, by which Atelier starts on it no more."
    )
    return 0


async def _move(settings: Settings, address: str, *, restart: bool) -> Moved:
    backups = settings.backups
    async with (
        open_database(settings.database, backups, may_migrate=settings.migrate) as source,
        open_database(address, None) as target,
    ):
        names = _name(settings.database), _name(address)
        return await move(source, target, *names, restart=restart, tell=print)


def _name(address: str | Path) -> str:
    """The address without a password."""
    if isinstance(address, Path) or address.startswith("sqlite:///"):
        return str(Path(str(address).removeprefix("sqlite:///")).resolve())
    return make_url(address).render_as_string(hide_password=True)
