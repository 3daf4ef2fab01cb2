"""Deleting a person's data."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from jobs.queue import Queue
from storage import privacy as rows
from storage.blobs.local import Folder
from storage.database import open_database
from studio import privacy
from studio.privacy import Deleted
from tests.jobs.hand_executor import HandExecutor
from tests.storage.conftest import added
from tests.studio.conftest import ALICE, open_studio, privacy_of


async def test_a_big_account_is_deleted_a_page_of_jobs_at_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "JOBS_AT_ONCE", 2, raising=False)
    pages: list[int] = []

    class Counted(Queue):
        def note_deleted(self, user_id: int, job_ids: Iterable[str]) -> None:
            pages.append(len(list(job_ids)))

    async with open_database(tmp_path / "atelier.db", None) as database:
        files = Folder(tmp_path / "pictures", ballast_bytes=4096)
        for user in (1, 1, 1, 1, 1, 2):
            await added(database, user=user)
        own = privacy_of(Counted(database, files, HandExecutor()), tmp_path)
        assert await own.delete(1) == Deleted(5, 0, 0)
        assert pages == [2, 2, 1]
        assert (await own.holdings(1)).jobs == 0 and (await own.holdings(2)).jobs == 1
        assert await own.replay() == 0, "the deletion has been seen to its end"


async def test_a_restored_backup_forgets_jobs_and_pictures_that_were_deleted(tmp_path: Path) -> None:
    async with open_studio(tmp_path) as opened:
        whole, part, stays = [await opened.drawn(ALICE, f"a house --seed {n}") for n in (10, 20, 30)]
        saved = await opened.services.database.backup("kept")
        assert saved is not None
        await opened.services.privacy.delete_job(ALICE.user_id, whole.job.id)
        await opened.services.privacy.delete_pictures(ALICE.user_id, [(part.job.id, 1)])
        gone = {whole.pictures[0].sha256, part.pictures[1].sha256}
    for name in ("atelier.db", "atelier.db-wal", "atelier.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "atelier.db").write_bytes(saved.read_bytes())
    async with open_studio(tmp_path) as opened:
        assert await opened.services.database.read(partial(rows.jobs_among, ids=[whole.job.id])) == []
        left = await opened.services.queue.result(part.job.id)
        assert [one.index for one in left.pictures] == [0, 2, 3]
        other = await opened.services.queue.result(stays.job.id)
        assert len(other.pictures) == 4 and not any(opened.services.files.exists(name) for name in gone)
