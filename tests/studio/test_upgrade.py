"""What each release has written opens in this one, with everything that people had: tests/data holds a data
folder of each."""

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from core.errors import StorageError
from core.events import Rendered
from core.job import Status
from core.settings import ROOT
from core.traces import release
from storage.gallery import Filter
from studio.authority import Action
from studio.moderation.rules import Visibility
from tests.studio.conftest import ALICE, BOB, MIRA, open_studio
from tests.studio.projects.conftest import open_world

RELEASES = sorted((ROOT / "tests" / "data").glob("*.tar.xz"))
LIMIT = 10 * 2**20


def unpacked(file: Path, folder: Path) -> Path:
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_this_release_has_a_data_folder_of_its_own_and_each_is_small() -> None:
    assert f"{release()}.tar.xz" in {file.name for file in RELEASES}, "python -m tests.data"
    assert max(file.stat().st_size for file in RELEASES) < 64_000


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.name.removesuffix(".tar.xz"))
async def test_a_studio_of_that_release_goes_on_where_it_stopped(file: Path, tmp_path: Path) -> None:
    async with open_world(unpacked(file, tmp_path), OWNER_IDS="3") as world:
        studio = world.studio
        shown = await studio.gallery.pictures(ALICE, Filter())
        assert len(shown.tiles) == 3 and set(shown.visible) == {Visibility.SHOW}
        [house] = {tile.job.id for tile in shown.tiles}
        picture = await studio.picture(ALICE, house, 0, LIMIT)
        assert picture.data is not None and Image.open(io.BytesIO(picture.data)).size == (64, 64)
        found = await studio.rights.result(ALICE, house, Action.SHOW)
        assert "a red house" in str(found.job.request) and found.job.status in (
            Status.RENDERED,
            Status.DELIVERED,
        )
        assert [tile.picture.index for tile in shown.tiles if tile.favourite] == [1]
        [shelf] = await studio.folders.all(ALICE)
        assert shelf.name == "Houses"
        assert len((await studio.gallery.pictures(ALICE, Filter(folder=shelf.id))).tiles) == 2
        assert await studio.trash.count(ALICE) == 1
        assert (await studio.own.preferences(ALICE)).remix and not (await studio.own.preferences(BOB)).remix
        assert (await studio.server.moderation(MIRA))[1] == ["zonk"]
        assert await studio.server.banned(MIRA) == [99]
        card = await studio.projects.card(ALICE, "parts")
        assert (card.counts.labels, card.version and card.version.number) == ({"good": 4, "scratch": 1}, 1)
        [waiting] = [job for job in await studio.own.recent(BOB) if job.status is Status.QUEUED]
        await studio.server.resume(MIRA)
        events = [event async for event in await studio.watch(BOB, waiting.id)]
        assert isinstance(events[-1], Rendered)
        assert (await world.drawn(ALICE, "a boat")).job.status is not Status.FAILED


async def test_a_folder_whose_database_is_gone_is_not_taken_for_that_release(tmp_path: Path) -> None:
    """What the test above would overlook if a studio began anew in silence."""
    (unpacked(RELEASES[-1], tmp_path) / "atelier.db").unlink()
    with pytest.raises(StorageError, match="the database is new"):
        async with open_studio(tmp_path):
            pass
