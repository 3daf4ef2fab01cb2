import io
import json
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.queue import Queue
from storage.database import open_database
from storage.filing.folder import Folder
from storage.search.vector_files import VectorFiles
from studio import privacy
from studio.organise import parts
from studio.privacy import Deleted, Privacy, Retention
from tests.jobs.hand_executor import HandExecutor
from tests.storage.conftest import added


async def test_rows_become_json_in_a_thread_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def dumps(data: Any, **options: Any) -> str:
        threads.append(threading.get_ident())
        return json.dumps(data, **options)

    monkeypatch.setattr(parts, "json", SimpleNamespace(dumps=dumps))
    async with open_database(tmp_path / "atelier.db", None) as database:
        files = Folder(tmp_path / "pictures", ballast_bytes=4096)
        job = await added(database, user=1)
        queue = Queue(database, files, HandExecutor())
        places = {"checkpoints": tmp_path / "checkpoints", "notes": tmp_path / "notes.json"}
        [part] = [
            part
            async for part in Privacy(
                queue, database, files, VectorFiles(tmp_path), Retention(), **places
            ).export(1, 10**6)
        ]
    data = json.loads(zipfile.ZipFile(io.BytesIO(part)).read("data.json"))
    assert [row["id"] for row in data["jobs"]] == [job.id]
    assert threads and threading.get_ident() not in threads


async def test_a_big_account_is_deleted_a_page_of_jobs_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "JOBS_AT_ONCE", 2, raising=False)
    pages: list[int] = []

    class Counted(Queue):
        def note_deleted(self, user_id: int, job_ids: Iterable[str]) -> None:
            pages.append(len(list(job_ids)))

    async with open_database(tmp_path / "atelier.db", None) as database:
        files = Folder(tmp_path / "pictures", ballast_bytes=4096)
        for user in (1, 1, 1, 1, 1, 2):
            await added(database, user=user)
        queue = Counted(database, files, HandExecutor())
        places = {"checkpoints": tmp_path / "checkpoints", "notes": tmp_path / "notes.json"}
        own = Privacy(queue, database, files, VectorFiles(tmp_path), Retention(), **places)
        assert await own.delete(1) == Deleted(5, 0, 0)
        assert pages == [2, 2, 1]
        assert (await own.holdings(1)).jobs == 0 and (await own.holdings(2)).jobs == 1
        assert await own.replay() == 0, "the deletion has been seen to its end"
