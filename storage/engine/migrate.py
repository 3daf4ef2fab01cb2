"""Brings a database's schema up to this program's, after a backup."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.errors import StorageError
from storage.engine import sqlite_file

MIGRATIONS = Path(__file__).parent.parent / "migrations"
log = logging.getLogger(__name__)


def migrate(connection: sa.Connection, path: Path | None, backup_dir: Path | None) -> None:
    """Run what is missing in the open transaction of ``connection``. ``path`` of a SQLite file is backed up
    first. StorageError for the schema of a newer Atelier."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise StorageError(
            f"The database has schema {current}, written by a newer Atelier; this one knows schemas up to"
            f" {head}. Update Atelier, or go back to a backup in {backup_dir}."
        )
    if current is not None and path is not None and backup_dir is not None:
        sqlite_file.backup(path, backup_dir, label=f"before-{head}")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("database schema brought from %s to %s", current or "nothing", head)
