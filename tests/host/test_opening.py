"""What runs beside the studio from its opening on: the daily backups."""

from functools import partial
from pathlib import Path

from host.services import _back_up_daily, run_beside
from storage.database import open_database
from storage.engines.sqlite import backups
from tests.jobs.conftest import until


async def test_a_backup_stamped_ahead_of_the_clock_holds_up_none(tmp_path: Path) -> None:
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    folder.mkdir()
    (folder / "atelier-20990101T000000000000Z-daily.db").write_bytes(b"")
    async with open_database(path, folder) as database:
        async with run_beside("backups", partial(_back_up_daily, database), database.supervisor):
            await until(lambda: len(backups(path, folder)) == 2)


async def test_daily_backups_that_fail_are_told_and_tried_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    folder.write_text("no folder")
    async with open_database(path, folder) as database:
        async with run_beside("backups", partial(_back_up_daily, database), database.supervisor):
            await until(lambda: database.problem == "what failed is tried again: backups")
            folder.unlink()
            await until(lambda: bool(backups(path, folder)))
