"""The wall of styles: drawn by the studio itself while nobody waits, found, liked, and made of one's own
pictures."""

import io
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from PIL import Image, ImageChops

from core.errors import ImageError, NotAllowedError, PromptError, UserError
from core.job import NOBODY, Lane
from core.styles import MEDIA, codes, triple_of_code
from storage import privacy
from storage import wall as rows
from storage.embeddings import vector_of
from studio.library.wall import BY_WORDS, NOT_YET, PAGE, SUBJECTS, WallDrawing, tiles_to_draw
from studio.moderation.rules import Visibility
from studio.tastes import OFF
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, Opened, open_studio
from tests.studio.library.eyes import Seeing
from vision.families.flux import FLUX2_KLEIN_FAMILY

BARRED = replace(BOB, user_id=9)


@pytest.fixture
async def seeing(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_studio(tmp_path, executor=Seeing(), IMAGE_MODEL="a/b") as opened:
        yield opened


def drawing(opened: Opened, seconds: int = 600) -> WallDrawing:
    settings = replace(opened.services.settings, wall_seconds=seconds)
    return WallDrawing(opened.services.database, opened.services.queue, settings)


async def draw(opened: Opened, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the first tiles, and have them looked at."""
    monkeypatch.setattr("studio.library.wall.vocabulary_of", lambda spec, folder: frozenset())
    by_itself, services = drawing(opened), opened.services

    async def idle() -> bool:
        return not services.queue.unfinished

    for _ in range(count):
        assert await by_itself.ask_for_next()
        await eventually(idle)
    model = services.indexing.model

    async def seen() -> bool:
        tiles = await services.database.read(lambda c: rows.list_tiles(c, "a/b"))
        places = await services.database.read(lambda c: rows.places_of(c, model, [t.sha256 for t in tiles]))
        return len(places) == count

    await eventually(seen)


def test_every_style_is_drawn_once_before_any_comes_again() -> None:
    wanted = tiles_to_draw()
    assert len(set(wanted)) == len(wanted) == 1280 * len(SUBJECTS)
    assert len({style for style, _ in wanted[:1280]}) == 1280
    assert {subject for _, subject in wanted[:8]} == set(range(8))


def test_a_small_model_draws_what_it_knows() -> None:
    known = frozenset("watercolor muted colour a house cat".split())
    numbers = {code: triple for triple, code in codes().items()}
    assert {numbers[style][:2] for style, _ in tiles_to_draw(known)} == {("watercolor", "muted colours")}
    assert {SUBJECTS[subject] for _, subject in tiles_to_draw(known)} == {"a house", "a cat"}


async def test_it_draws_for_nobody_while_nobody_waits(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 2, monkeypatch)
    database, queue = seeing.services.database, seeing.services.queue
    tiles = await database.read(lambda c: rows.list_tiles(c, "a/b"))
    assert [(one.style, one.subject) for one in tiles] == tiles_to_draw()[:2]
    job = await queue.job(tiles[0].job_id)
    assert job is not None and (job.origin.user_id, job.lane, job.origin.private) == (
        NOBODY,
        Lane.RELAX,
        True,
    )
    with pytest.raises((ImageError, NotAllowedError)):
        await seeing.studio.rights.job(ALICE, job.id, "show")
    await queue.pause(1)
    assert not await drawing(seeing).ask_for_next()
    await queue.resume(1)
    assert not await drawing(seeing, 0).ask_for_next(), "the day's time is used up"
    monkeypatch.setattr(type(queue), "unfinished", 1)
    assert not await drawing(seeing).ask_for_next(), "somebody waits"


async def test_tiles_outlive_the_retention_while_they_hang(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 1, monkeypatch)
    later, database = datetime.now(UTC) + timedelta(days=900), seeing.services.database
    assert await database.read(lambda c: privacy.old_jobs(c, later)) == []


async def test_each_image_model_keeps_its_own_tiles(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 1, monkeypatch)
    database, settings = seeing.services.database, replace(seeing.services.settings, image_model="c/d")
    await WallDrawing(database, seeing.services.queue, settings).run_for_ever()  # a start that draws none
    assert await database.read(lambda c: rows.list_tiles(c, "c/d")) == []
    assert len(await database.read(lambda c: rows.list_tiles(c, "a/b"))) == 1


async def test_without_tiles_words_alone_are_searched_and_no_model_is_asked(
    seeing: Opened, monkeypatch
) -> None:
    monkeypatch.setattr(type(seeing.services.eyes), "read", None)
    found = await seeing.studio.wall.find(ALICE, "watercolor mist")
    assert found.styles and not found.note
    assert (await seeing.studio.wall.one(ALICE, 7)).words == triple_of_code(7)


async def test_styles_are_found_by_their_words_and_by_what_is_drawn(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 3, monkeypatch)
    wall = seeing.studio.wall
    page = await wall.find(ALICE)
    assert page.drawn == 3 and [one.tile is not None for one in page.styles[:4]] == [True, True, True, False]
    found = await wall.find(ALICE, "watercolor mist")
    assert found.styles and all({"watercolor", "mist"} <= set(one.words) for one in found.styles)
    assert await wall.find(ALICE, "Mist, watercolor") == found, "in any order, with commas"
    first = page.styles[0]
    assert await wall.one(ALICE, first.number) == first
    alike = await wall.find(ALICE, like=first.number)
    assert {one.number for one in alike.styles} == {one.number for one in page.styles[1:3]}
    near = await wall.find(ALICE, str(first.number % 256))  # no style has the word: the tiles decide
    assert near.styles[0].number == first.number
    shown = await wall.picture(BOB, first.number, 256)
    assert shown is not None and shown.data is not None and shown.data[8:12] == b"WEBP"
    assert await wall.picture(BOB, page.styles[3].number, 256) is None
    with pytest.raises(UserError, match="no tile of style"):
        await wall.find(ALICE, like=page.styles[3].number)


async def test_words_alone_are_searched_where_nobody_sees(opened: Opened, monkeypatch) -> None:
    async def hung() -> dict[int, rows.WallTile]:
        return {number: rows.WallTile(number, 0, "j", "0" * 64) for number in codes().values()}

    monkeypatch.setattr(opened.studio.wall, "_tiles", hung)
    found = await opened.studio.wall.find(ALICE, "stained glass moonlight")
    assert found.note == BY_WORDS and len(found.styles) == 10
    with pytest.raises(UserError, match="up to 12 words"):
        await opened.studio.wall.find(ALICE, "a " * 13)


async def test_likes_are_counted_and_go_with_their_person(opened: Opened) -> None:
    wall, number = opened.studio.wall, next(iter(codes().values()))
    for actor in (ALICE, BOB, BOB):
        await wall.like(actor, number, liked=True)
    [liked] = (await wall.find(ALICE, liked=True)).styles
    assert (liked.number, liked.likes, liked.liked) == (number, 2, True)
    await opened.services.privacy.delete(BOB.user_id)
    [liked] = (await wall.find(ALICE, liked=True)).styles
    assert liked.likes == 1
    await wall.like(ALICE, number, liked=False)
    assert (await wall.find(ALICE, liked=True)).styles == ()
    with pytest.raises(UserError, match="no style"):
        await wall.like(ALICE, 10**9, liked=True)


async def test_a_code_of_own_pictures_is_a_style_for_sref(seeing: Opened) -> None:
    result = await seeing.drawn(ALICE, "a house --seed 7")
    pictures = [picture.sha256 for picture in result.pictures]
    code, words = await seeing.studio.wall.code_of(ALICE, pictures)
    assert (code, words) == await seeing.studio.wall.code_of(BOB, pictures[::-1]), "the same pictures"
    assert code != (await seeing.studio.wall.code_of(ALICE, pictures[:1]))[0]
    assert words[0] in MEDIA
    [new] = await (await seeing.studio.requests.imagine(BOB, f"a boat --sref {code}::2 12", None)).jobs()
    assert new.request.style_codes == ((codes()[words], 2.0), (12, 1.0))
    with pytest.raises(PromptError, match="Nobody has made"):
        await seeing.studio.requests.imagine(BOB, "a boat --sref saaaaaaa", None)
    with pytest.raises(UserError, match="1 to 25 pictures; there are 0"):
        await seeing.studio.wall.code_of(ALICE, [])


async def test_a_model_that_takes_pictures_is_shown_some_of_ones_own_code(
    seeing: Opened, monkeypatch
) -> None:
    studio = seeing.studio
    result = await seeing.drawn(ALICE, "a house --seed 7")
    pictures = [picture.sha256 for picture in result.pictures]
    made = [(result.job.id, picture.index) for picture in result.pictures]
    code, words = await studio.wall.code_of(ALICE, pictures, made)

    async def shown(actor) -> tuple[tuple[str, float], ...]:
        [new] = await (await studio.requests.imagine(actor, f"a boat --sref {code}::2", None)).jobs()
        assert new.request.style_codes == ((codes()[words], 2.0),)
        return new.request.style_references

    assert await shown(ALICE) == (), "this model reads words alone"
    monkeypatch.setattr(type(studio.requests), "_family", lambda self, prompt: FLUX2_KLEIN_FAMILY)
    assert await shown(ALICE) == tuple((sha256, 2.0) for sha256 in pictures[:4])
    assert await shown(BOB) == (), "a code gives nobody else the pictures"
    await studio.delete(ALICE, result.job.id)
    assert await shown(ALICE) == ()


async def test_a_taste_puts_the_wall_in_its_order(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 3, monkeypatch)
    wall, tastes = seeing.studio.wall, seeing.studio.tastes
    database, model = seeing.services.database, seeing.services.indexing.model
    tiles = await database.read(lambda c: rows.list_tiles(c, "a/b"))
    seen = {
        one.style: await database.read(partial(vector_of, model=model, sha256=one.sha256)) for one in tiles
    }
    along = {style: struct.unpack("<2e", data)[0] for style, data in seen.items()}

    async def first(sign: float) -> list[int]:
        monkeypatch.setattr(tastes, "direction", AsyncMock(return_value=struct.pack("<2f", sign, 0.0)))
        found = await wall.find(ALICE, order="me")
        assert len(found.styles) == PAGE and not found.note
        return [one.number for one in found.styles[:3]]

    assert await first(1.0) == sorted(along, key=lambda style: -along[style])
    assert await first(-1.0) == sorted(along, key=lambda style: along[style])
    newest = await wall.find(ALICE, order="new")
    assert [one.number for one in newest.styles[:3]] == [one.style for one in reversed(tiles)]


async def test_without_a_taste_the_wall_says_so(seeing: Opened) -> None:
    wall = seeing.studio.wall
    plain, mine = await wall.find(ALICE), await wall.find(ALICE, order="me")
    assert mine.styles == plain.styles and mine.note == NOT_YET
    await seeing.studio.own.change(ALICE, taste=False)
    assert (await wall.find(ALICE, order="me")).note == OFF


def cells(mosaic: bytes) -> list[Image.Image]:
    """The middle of each place in the first row of a mosaic."""
    with Image.open(io.BytesIO(mosaic)) as picture:
        wide = picture.width // 3
        boxes = [(n * wide + 60, 60, n * wide + 200, 200) for n in range(3)]
        return [picture.convert("RGB").crop(box) for box in boxes]


def apart(one: Image.Image, other: Image.Image) -> int:
    """How much the most different pixels differ, 0 to 255."""
    extremes = ImageChops.difference(one, other).getextrema()
    return max(high for _low, high in extremes)


async def test_a_mosaic_shows_no_tile_that_its_place_forbids(seeing: Opened, monkeypatch) -> None:
    await draw(seeing, 3, monkeypatch)
    tiles = await seeing.services.database.read(lambda c: rows.list_tiles(c, "a/b"))
    styles, judge = [one.style for one in tiles], seeing.services.moderator
    shown = await seeing.studio.wall.mosaic(ALICE, styles)
    said = AsyncMock(return_value=[Visibility.SHOW, Visibility.BLOCK, Visibility.SHOW])
    monkeypatch.setattr(judge, "visibilities", said)
    some = await seeing.studio.wall.mosaic(ALICE, styles)
    assert shown is not None and some is not None
    changed = [apart(*pair) for pair in zip(cells(shown), cells(some), strict=True)]
    assert changed[0] < 30 < changed[1], "the second is empty"
    gone = AsyncMock(return_value=3 * [Visibility.BLOCK])
    monkeypatch.setattr(judge, "visibilities", gone)
    assert await seeing.studio.wall.mosaic(ALICE, styles) is None
