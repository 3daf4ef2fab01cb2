"""The short form of ``python -m proofs.host.deletion_trials``, and its negative control. What runs beside
the studio from its opening on: the daily backups. What a bot doesn't use, it doesn't load: of PostgreSQL,
buckets and the bus nothing."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from core.settings import ROOT
from host.services import back_up_daily, run_beside
from proofs.host.deletion_trials import CASES, Trial, _name, measure
from storage.database import open_database
from storage.engines.sqlite import backups
from tests.jobs.conftest import until
from tests.support import buckets


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["folder", pytest.param("s3", marks=pytest.mark.buckets)])
async def test_nothing_that_goes_wrong_loses_a_picture(tmp_path: Path, store: str) -> None:
    trial = Trial(tmp_path, 200)
    if store == "folder":
        assert set((await measure(trial)).values()) == {0}
        return
    with buckets.moto() as server:
        trial.url = server.address("trial")
        trial.keys = {"AWS_ACCESS_KEY_ID": buckets.KEY, "AWS_SECRET_ACCESS_KEY": buckets.SECRET}
        assert set((await measure(trial)).values()) == {0}


async def test_a_lost_picture_is_counted_and_a_healthy_studio_loses_none(tmp_path: Path) -> None:
    trial = Trial(tmp_path, 50)
    await trial.made()
    await CASES["healthy"](trial)
    assert await trial.lost() == 0
    (picture,) = (trial.data / "pictures").glob(f"*/*/{_name(7)}.png")
    picture.unlink()
    assert await trial.lost() == 1


async def test_a_backup_stamped_ahead_of_the_clock_holds_up_none(tmp_path: Path) -> None:
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    folder.mkdir()
    (folder / "atelier-20990101T000000000000Z-daily.db").write_bytes(b"")
    async with open_database(path, folder) as database:
        async with run_beside("backups", partial(back_up_daily, database), database.supervisor):
            await until(lambda: len(backups(path, folder)) == 2)


async def test_daily_backups_that_fail_are_told_and_tried_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "atelier.db", tmp_path / "backups"
    folder.write_text("no folder")
    async with open_database(path, folder) as database:
        async with run_beside("backups", partial(back_up_daily, database), database.supervisor):
            await until(lambda: database.problem == "what failed is tried again: backups")
            folder.unlink()
            await until(lambda: bool(backups(path, folder)))


CODE = """
import asyncio, sys
from pathlib import Path

import host.app
from core.settings import load_settings
from host.services import executor_of
from host.services import services
from tests.jobs.hand_executor import HandExecutor

unwanted = {"nats", "nkeys", "obstore", "psycopg", "ray", "opentelemetry", "jobs.cluster"}
unwanted |= {"storage.engines.postgres", "storage.blobs.s3", "storage.copy_database"}

async def main():
    settings = load_settings({"DATA_DIR": sys.argv[1], "DISK_FLOOR_MB": "0"}, Path("/nowhere"))
    await executor_of(settings, "tests.jobs.fake_worker:main", None)
    async with services(settings, executor=HandExecutor()):
        print(sorted(unwanted & set(sys.modules)))

asyncio.run(main())
"""


def test_a_bot_alone_loads_nothing_of_several_machines(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
