"""Backups of a server come back, and forget whom they should; by the page's own commands."""

import configparser
import shutil

import pytest

from proofs.scale import backups


def test_the_page_has_each_command_once_and_a_configuration_that_can_be_read() -> None:
    server, ours = ("pg_dump", "pg_restore", "archive_mode", "archive_command"), "pgbackrest --stanza=atelier"
    for start in (
        *server,
        *(f"{ours} {name}" for name in ("stanza-create", "check", "--type=full backup", "--delta restore")),
        f"{ours} --delta --type=immediate",
    ):
        assert backups.written(start).startswith(start)
    read = configparser.ConfigParser()
    read.read_string(backups.configuration())
    assert read.sections() == ["global", "atelier"]
    assert int(read["global"]["repo1-retention-full"]) <= 14  # BACKUP_DAYS


@pytest.mark.postgres
@pytest.mark.long
async def test_a_dump_comes_back_and_who_was_deleted_since_is_forgotten_again() -> None:
    await backups.dumped()


@pytest.mark.postgres
@pytest.mark.long
@pytest.mark.skipif(shutil.which("pgbackrest") is None, reason="pgbackrest isn't installed")
async def test_an_archive_comes_back_to_the_last_moment_and_to_the_backup_itself() -> None:
    await backups.archived()
