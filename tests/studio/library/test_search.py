"""Searches by words, by what is in pictures, and like another picture; and whose pictures are never found."""

import asyncio
import random
from dataclasses import replace

import pytest

from core.errors import ImageError, UserError
from storage import embeddings as rows
from studio.authority import Actor
from studio.search import BY_LOOKS, NONE_SHOWS, NOT_LIKE, NOT_LIKE_NOW, WORDS_FIRST, WORDS_ONLY
from tests.jobs.conftest import eventually
from tests.studio.conftest import ALICE, BOB, Sent, png
from tests.studio.library.conftest import Searched
from vision.protocol import Nearest


async def test_pictures_are_found_by_what_they_show_the_likest_first(searched: Searched) -> None:
    for seed in (0, 90, 200):
        await searched.drawn(ALICE, f"a house --seed {seed}")
    found = await searched.seeds(ALICE, "92")
    assert found[:4] == [92, 93, 91, 90] or found[:4] == [92, 91, 93, 90]
    whole = await searched.find(ALICE, "92")
    assert len(found) == 4, "the others clearly show something else"
    assert not whole.note and whole.order == BY_LOOKS
    assert len(await searched.seeds(ALICE, f"like:{whole.tiles[0].job.id}")) == 11, "like has no end"


async def test_prompts_that_have_the_words_come_first(searched: Searched) -> None:
    await searched.drawn(ALICE, "number 100 as a boat --seed 0")
    await searched.drawn(ALICE, "a house --seed 100")
    found = await searched.seeds(ALICE, "100")
    assert sorted(found[:4]) == [0, 1, 2, 3] and found[4] == 100
    assert found[0] == 3, "among them, too, the likest is first"
    said = (await searched.find(ALICE, "100")).order
    assert said == "The first 4 have these words in the prompt; the others look a little like it."
    assert (await searched.find(ALICE, "100", skip=4, limit=2)).order == said


async def test_that_nothing_shows_it_is_said(searched: Searched) -> None:
    for seed in (90, 94, 98, 102):
        await searched.drawn(ALICE, f"a house --seed {seed}")
    found = await searched.find(ALICE, "zebra")
    assert len(found.tiles) == 12 and found.order == NONE_SHOWS, "the nearest alone"
    assert not (await searched.find(ALICE, "house")).order, "its prompts have the word"
    assert not (await searched.find(ALICE, f"like:{found.tiles[0].job.id}")).order


async def test_filters_leave_out_before_anything_is_compared(searched: Searched) -> None:
    await searched.drawn(ALICE, "a house --seed 90 --ar 1:1")
    await searched.drawn(ALICE, "a house --seed 200")
    assert await searched.seeds(ALICE, "92 seed:201") == [201]
    [*_, asked] = [one for one in searched.eyes.asked if isinstance(one, Nearest)]
    assert int.from_bytes(asked.places).bit_count() == 1
    assert await searched.seeds(ALICE, "92 kind:blend") == []
    assert len(await searched.seeds(ALICE, "92 model:FAKE kind:imagine ar:1:1 by:me")) == 8
    assert await searched.seeds(ALICE, "92 model:other") == []
    assert await searched.seeds(ALICE, "92 to:2020-01") == []


async def test_a_picture_that_two_have_drawn_is_found_by_both(searched: Searched) -> None:
    """The file is looked at once, and whose it is is noted for each."""
    first = await searched.drawn(ALICE, "a house --seed 90")
    await searched.drawn(BOB, "a house --seed 90")
    await eventually(searched.placed)
    for actor in (ALICE, BOB):
        found = (await searched.find(replace(actor, guild_id=None), "92")).tiles
        assert [tile.job.origin.user_id for tile in found] == 4 * [actor.user_id]
        assert found[0].picture.seed == 92
    [*_, asked] = [one for one in searched.eyes.asked if isinstance(one, Nearest)]
    assert int.from_bytes(asked.places).bit_count() == 4
    await searched.opened.studio.delete(ALICE, first)
    assert await searched.seeds(replace(ALICE, guild_id=None), "93") == []
    assert len(await searched.seeds(replace(BOB, guild_id=None), "93")) == 4


async def test_pages_follow_each_other(searched: Searched) -> None:
    for seed in (0, 50, 100):
        job = await searched.drawn(ALICE, f"a house --seed {seed}")
    whole = await searched.seeds(ALICE, f"like:{job}")
    first = await searched.find(ALICE, f"like:{job}", limit=5)
    assert first.more and [tile.picture.seed for tile in first.tiles] == whole[:5]
    last = await searched.find(ALICE, f"like:{job}", skip=10, limit=5)
    assert not last.more and [tile.picture.seed for tile in last.tiles] == whole[10:]


async def test_like_a_picture_finds_others_than_itself(searched: Searched) -> None:
    job = await searched.drawn(ALICE, "a house --seed 90")
    await searched.drawn(ALICE, "a boat --seed 200")
    found = await searched.seeds(ALICE, f"like:{job}/2")
    assert set(found[:3]) == {90, 92, 93} and 91 not in found and len(found) == 7
    assert (await searched.seeds(ALICE, f"like:{job}/2 boat"))[0] == 200
    taken = await searched.opened.studio.sources.given(ALICE, Sent(png(colour=(203, 0, 0))))
    assert (await searched.seeds(ALICE, f"like:{taken.sha256}"))[0] == 203


async def test_without_a_model_prompts_are_searched_and_it_is_said(searched: Searched) -> None:
    await searched.drawn(ALICE, "a red house --seed 0")
    await searched.drawn(ALICE, "a red boat --seed 50")
    searched.eyes.blind = True
    found = await searched.find(ALICE, "red", limit=6)
    assert [tile.picture.seed for tile in found.tiles] == [50, 51, 52, 53, 0, 1] and found.more
    assert found.note == WORDS_ONLY
    assert [t.picture.seed for t in (await searched.find(ALICE, "red", skip=6)).tiles] == [2, 3]


async def test_what_has_no_vector_yet_is_found_by_its_words(searched: Searched) -> None:
    old = await searched.drawn(ALICE, "a red boat --seed 0")
    searched.eyes.blind = True
    await searched.opened.drawn(ALICE, "a red house --seed 50")
    searched.eyes.blind = False
    found = await searched.find(ALICE, "red")
    assert [tile.picture.seed for tile in found.tiles][4:] == [50, 51, 52, 53] and not found.note
    searched.eyes.blind = True
    assert (await searched.find(ALICE, f"like:{old}")).note == NOT_LIKE


async def test_what_is_drawn_after_all_was_looked_at_is_found_by_its_words(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await searched.drawn(ALICE, "a red boat --seed 0")
    indexing = searched.opened.services.indexing
    monkeypatch.setattr("studio.embeddings.SORTED", 0.01)

    async def looked() -> bool:
        return indexing.looked is not None and indexing.looked.seq > 0

    sorting = asyncio.create_task(indexing.sort_for_ever())
    try:
        await eventually(looked)
        searched.eyes.blind = True
        await searched.opened.drawn(ALICE, "a red house --seed 50")
        await asyncio.sleep(0.05)
        assert indexing.looked is not None and indexing.looked.seq == 1, "one was missed"
        searched.eyes.blind = False
        found = await searched.find(ALICE, "red")
        assert [tile.picture.seed for tile in found.tiles][4:] == [50, 51, 52, 53] and not found.note
    finally:
        sorting.cancel()
        await asyncio.gather(sorting, return_exceptions=True)


async def test_a_strangers_pictures_are_never_found(searched: Searched) -> None:
    """Whatever is asked, and even when the worker names every vector that there is."""
    mine = {await searched.drawn(ALICE, f"a house --seed {seed}") for seed in (0, 60)}
    theirs = {
        await searched.drawn(BOB, "a house --seed 120"),
        await searched.drawn(replace(BOB, guild_id=None), "a house --stealth --seed 180"),
        await searched.drawn(Actor(3, None), "a house --seed 240"),
    }
    random_ = random.Random(17)
    texts = [
        f"{random_.randrange(256)} {random_.choice(('house', 'by:me', 'kind:imagine', ''))}"
        for _ in range(40)
    ]
    for text in (*texts, "house", *(f"like:{job}/2" for job in mine)):
        found = await searched.find(ALICE, text)
        assert {tile.job.id for tile in found.tiles} <= mine and found.tiles, text
    for job in theirs:
        with pytest.raises(ImageError, match=f"no picture of job `{job}` that you can see"):
            await searched.find(Actor(1, None), f"like:{job}")
    every = await searched.opened.services.database.read(rows.next_place)
    ask = searched.eyes.ask

    async def lying(question):
        answer = await ask(question)
        return replace(answer, answer=((), tuple(range(every)))) if isinstance(question, Nearest) else answer

    searched.eyes.ask = lying  # type: ignore[method-assign]
    found = await searched.find(ALICE, "180")
    assert {tile.job.id for tile in found.tiles} == mine


async def test_an_upload_of_somebody_else_is_nothing_to_compare_with(searched: Searched) -> None:
    await searched.drawn(ALICE, "a house --seed 0")
    taken = await searched.opened.studio.sources.given(BOB, Sent(png()))
    with pytest.raises(ImageError, match="gone"):
        await searched.find(ALICE, f"like:{taken.sha256}")
    with pytest.raises(UserError):
        await searched.find(ALICE, "like:abcd2345efgh")


async def test_what_somebody_searched_for_is_theirs_alone(searched: Searched) -> None:
    search = searched.opened.studio.search
    kept = await search.keep(ALICE, "a red boat")
    assert await search.kept(ALICE, kept) == "a red boat"
    with pytest.raises(UserError, match="expired"):
        await search.kept(BOB, kept)
    with pytest.raises(UserError, match="expired"):
        await searched.opened.studio.requests.confirmed(ALICE, kept)
    question = (await searched.opened.studio.requests.keep_question(ALICE, [])).draft_id
    with pytest.raises(UserError, match="expired"):
        await search.kept(ALICE, question)


async def test_a_worker_that_says_nothing_holds_nobody_up(searched: Searched, monkeypatch) -> None:
    await searched.drawn(ALICE, "a red house --seed 0")
    monkeypatch.setattr("studio.embeddings.PATIENCE", 0.02)

    async def silent(question):
        await asyncio.Event().wait()

    searched.eyes.ask = silent  # type: ignore[method-assign]
    found = await searched.find(ALICE, "red")
    assert len(found.tiles) == 4 and found.note == WORDS_FIRST
    assert (await searched.find(ALICE, f"like:{found.tiles[0].job.id} seed:1")).note == NOT_LIKE_NOW


async def test_a_new_picture_is_found_at_once_and_a_deleted_one_no_more(searched: Searched) -> None:
    old = await searched.drawn(ALICE, "a house --seed 90")
    assert await searched.seeds(ALICE, "by:me 92")
    await searched.drawn(ALICE, "a boat --seed 200")
    assert 201 in await searched.seeds(ALICE, "by:me 92")
    await searched.opened.studio.delete(ALICE, old)
    assert sorted(await searched.seeds(ALICE, "by:me 92")) == [200, 201, 202, 203]


async def compared(searched: Searched, actor: Actor, text: str) -> int:
    """How many pictures a search compares."""
    await searched.find(actor, text)
    [*_, asked] = [one for one in searched.eyes.asked if isinstance(one, Nearest)]
    return int.from_bytes(asked.places).bit_count()


async def test_what_may_be_found_no_more_is_compared_no_more(searched: Searched) -> None:
    """The places are kept between searches, and what changes is read again: a picture in the trash, one that
    comes back, a job that is deleted, and prompts with the words."""
    one = await searched.drawn(ALICE, "a house --seed 90")
    two = await searched.drawn(ALICE, "a house --seed 200")
    studio = searched.opened.studio
    assert await compared(searched, ALICE, "house") == 8
    await studio.trash.put(ALICE, [(one, 1)])
    assert await compared(searched, ALICE, "house") == 7
    assert await compared(searched, ALICE, f"like:{two}/1") == 6, "without itself"
    await studio.trash.take_back(ALICE, [(one, 1)])
    assert await compared(searched, ALICE, "house") == 8
    await searched.drawn(ALICE, "a boat --seed 30")
    assert await compared(searched, ALICE, "house") == 12
    await studio.delete(ALICE, two)
    assert await compared(searched, ALICE, "house") == 8
    [*_, asked] = [one for one in searched.eyes.asked if isinstance(one, Nearest)]
    assert int.from_bytes(asked.first).bit_count() == 4
    await searched.drawn(BOB, "a house --seed 220")
    assert await compared(searched, ALICE, "house") == 8, "a place that is used again is somebody else's"
