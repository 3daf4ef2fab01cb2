"""What a host sets about a database on a server."""

from __future__ import annotations

from dataclasses import dataclass

from core.setting.field import setting
from core.setting.values import on_or_off


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """The settings of a database."""

    database_url: str = setting(
        "",
        "postgresql+psycopg://user:password@host/name for a PostgreSQL server; empty = SQLite in DATA_DIR",
        group="Storage",
        secret=True,
    )
    migrate: bool = setting(
        "off",
        "bring a PostgreSQL database that has rows to this program's schema at a start; on = you make backups"
        " of it yourself",
        on_or_off,
        group="Storage",
    )
