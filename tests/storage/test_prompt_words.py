"""Words of prompts: found by the index as they would be by reading every prompt, or better; and nothing of
what is deleted is left in it."""

import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import gallery, privacy, prompt_words
from storage.database import Database, open_database
from storage.gallery import Filter
from storage.schema import jobs
from tests.storage.conftest import NOW, added, url_of
from tests.storage.test_trash import ANN, made
from tests.support import postgres

PROMPTS = (
    "a Red house",
    "redder than 100% wool_knit, \"in quotes\"",
    "ein Café über der Straße",
    "un cafe\u0301 a\u0300 Paris",
    "赤い家と猫",
    "猫",
    "夕焼けの東京タワー、水彩",
    "красный ДОМ у моря",
    "가을 고양이",
    "AI",
    "tv on a sofa",
    "a/b* (c) NEAR d: -e ^f {g} AND OR NOT",
    "é",
    "emoji 🐈‍⬛ here",
    "nul\\0 and 'single' -- quotes;",
    "ŒUVRE naïve",
)  # fmt: skip
WORDS = (
    "red", "RED", "Re", "r", "house", "ouse", "100%", "%", "_", "wool_knit", "l_k", '"in',
    '"', "caf", "café", "cafe\u0301", "CAFÉ", "cafe", "é", "à", "über", "ß", "straße",
    "赤い家", "赤い", "猫", "家と猫", "東京", "タワー、", "水", "дом", "ДОМ", "у", "кр",
    "고양", "고양이", "고",
    "ai", "AI", "tv", "fa", "a/b*", "(c)", "NEAR", "d:", "-e", "^f", "{g}", "AND", "🐈",
    "🐈‍⬛", "xylophone", "zz", "'single'", "--", ";", "œu", "naïve", "naive", "\0", "e\0f",
    "\u0301", "e\u0301", "\U0010ffff",
)  # fmt: skip


async def numbers(database: Database) -> dict[int, str]:
    """The prompts, by the numbers of their jobs."""
    chosen = sa.select(jobs.c.seq, jobs.c.prompt)
    return {row.seq: row.prompt for row in await database.read(lambda c: c.execute(chosen).all())}


async def found(database: Database, *words: str) -> set[int]:
    chosen = sa.select(jobs.c.seq).where(*prompt_words.says(words))
    return set(await database.read(lambda c: c.scalars(chosen).all()))


async def read(database: Database, *words: str) -> set[int]:
    """What a reading of every prompt finds."""
    chosen = sa.select(jobs.c.seq).where(*(prompt_words.has(jobs.c.prompt, word) for word in words))
    return set(await database.read(lambda c: c.scalars(chosen).all()))


async def check(database: Database) -> None:
    """That the index finds all that a reading finds, and no more than without accents and case."""
    random_, prompts = random.Random(3), await numbers(database)
    asked = [(word,) for word in WORDS if postgres.folder() is None or "\0" not in word]
    asked += [tuple(random_.choices(WORDS[:50], k=random_.choice((2, 3)))) for _ in range(60)]
    for words in asked:
        by_index, by_reading = await found(database, *words), await read(database, *words)
        assert by_index >= by_reading, words
        for seq in by_index - by_reading:
            assert all(_folded(word) in _folded(prompts[seq]) for word in words), (words, prompts[seq])


def _folded(text: str) -> str:
    import unicodedata

    split = unicodedata.normalize("NFD", text.casefold())
    return "".join(one for one in split if not "\u0300" <= one <= "\u036f")


async def test_all_that_a_reading_finds_is_found(database: Database) -> None:
    for prompt in PROMPTS:
        await added(database, prompt=prompt)
    await check(database)
    assert await found(database, "house") == {1} and await found(database, "猫") == {5, 6}
    assert await found(database, "い家") == {5} and await found(database, "猫", "赤い") == {5}


async def test_the_index_minds_neither_case_nor_accents(database: Database) -> None:
    if postgres.folder() is not None:
        pytest.skip("PostgreSQL's own minds accents")
    for prompt in PROMPTS:
        await added(database, prompt=prompt)
    assert await found(database, "cafe") == await found(database, "CAFÉ") == {3, 4}
    assert await found(database, "дом") == await found(database, "ДОМ") == {8}
    assert await found(database, "NAIVE") == {16} and await read(database, "NAIVE") == set()


async def test_a_prompt_that_changes_or_goes_is_found_as_it_is(database: Database) -> None:
    job = await added(database, prompt="a turquoise zeppelin")
    other = await added(database, prompt="another zeppelin")
    change = sa.update(jobs).where(jobs.c.id == job.id)
    await database.write(lambda c: c.execute(change.values(prompt="a turquoise kayak")))
    assert await found(database, "zeppelin") == {2} and await found(database, "kayak") == {1}
    await database.write(lambda c: c.execute(change.values(prompt=None)))
    assert await found(database, "kayak") == set()
    await database.write(lambda c: privacy.delete_jobs(c, [job.id, other.id], now=NOW))
    await added(database, prompt="a third one")
    assert await found(database, "zeppelin") == await found(database, "turquoise") == set()


async def test_galleries_find_by_the_index(database: Database) -> None:
    first = await made(database)
    named = {"prompt": "夕焼けの港"}
    await database.write(lambda c: c.execute(sa.update(jobs).where(jobs.c.id == first).values(named)))
    await made(database)
    work = partial(gallery.tiles, user_id=ANN, wanted=Filter(("港",)), limit=9)
    assert {tile.job.id for tile in await database.read(work)} == {first}
    assert [
        day.pictures
        for day in await database.read(partial(gallery.days, user_id=ANN, wanted=Filter(("夕焼け",))))
    ] == [4]


# Of SQLite alone


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if postgres.folder() is not None:
        pytest.skip("triggers keep the index of SQLite alone")
    return tmp_path / "atelier.db"


SECRET = "quokka-umbrella-7319"


def _traces(folder: Path) -> list[str]:
    """Files that have three characters of the secret that nothing else has."""
    return [
        one.name
        for one in folder.rglob("*")
        if one.is_file() and any(part in one.read_bytes() for part in (b"okk", b"mbr", b"731"))
    ]


async def test_nothing_of_a_deleted_prompt_is_left_in_any_file(path: Path) -> None:
    async with open_database(path, None) as database:
        await added(database, prompt="a red house")
        job = await added(database, prompt=f"a {SECRET} in the rain")
        for number in range(30):
            await added(database, prompt=f"a boat {number}")
        assert await found(database, SECRET) == {2} and _traces(path.parent)
        await database.write(lambda c: privacy.delete_jobs(c, [job.id], now=NOW))
        await database.scrub()
        assert _traces(path.parent) == []
        await database.write(
            lambda c: c.exec_driver_sql("INSERT INTO prompt_words (prompt_words) VALUES ('integrity-check')")
        )
        assert await found(database, "boat") == set(range(3, 33))


async def test_prompts_of_before_the_index_are_found_while_it_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are those of a file that an older SQLite has used meanwhile."""
    monkeypatch.setattr(prompt_words, "IS_THERE", False)
    monkeypatch.setattr(prompt_words, "AT_ONCE", 3)
    async with open_database(path, None) as database:
        for prompt in PROMPTS:
            job = await added(database, prompt=prompt)
        assert await found(database, "house") == {1} and await found(database, "猫") == {5, 6}
    monkeypatch.setattr(prompt_words, "IS_THERE", True)
    async with open_database(path, None) as database:
        await added(database, prompt="a red boat")
        assert await found(database, "red") == {1, 2, 17}
        await check(database)
        assert await database.write(prompt_words.add_older)
        await check(database)
        await database.write(lambda c: privacy.delete_jobs(c, [job.id], now=NOW))  # one that is in it
        while await database.write(prompt_words.add_older):
            await check(database)
        await database.write(
            lambda c: c.execute(sa.update(jobs).where(jobs.c.seq == 1).values(prompt="a blue one"))
        )
        await check(database)
        plan = await database.read(_plan)
        assert not any("SCAN jobs" in step for step in plan), plan
    monkeypatch.setattr(prompt_words, "IS_THERE", False)
    async with open_database(path, None) as database:
        await added(database, prompt="a last boat")
        assert await found(database, "boat") == {17, 18}
    monkeypatch.setattr(prompt_words, "IS_THERE", True)
    async with open_database(path, None) as database:
        await database.index_prompts()
        assert await found(database, "boat") == {17, 18}
        await check(database)


def _plan(connection: sa.Connection) -> list[str]:
    chosen = sa.select(jobs.c.seq).where(jobs.c.user_id == ANN, *prompt_words.says(("house",)))
    text = chosen.order_by(jobs.c.seq.desc()).compile(
        connection.engine, compile_kwargs={"literal_binds": True}
    )
    return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


async def test_a_database_of_the_first_schema_gets_its_index_later(path: Path) -> None:
    from tests.storage.conftest import make_first_schema
    from tests.storage.test_migrations import fill

    make_first_schema(path.parent, url_of(path.parent))
    fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE jobs SET prompt = 'a red house'")
    async with open_database(path, None) as database:
        assert await database.read(lambda c: c.scalar(sa.text("SELECT since FROM prompts_indexed"))) == 2
        assert await found(database, "house") == {1}
        await database.index_prompts()
        assert await database.read(lambda c: c.scalar(sa.text("SELECT since FROM prompts_indexed"))) == 1
        assert await found(database, "house") == {1}


# Of PostgreSQL alone


async def test_a_server_makes_its_index_while_the_studio_runs(database: Database) -> None:
    if postgres.folder() is None:
        pytest.skip("there is no server")
    await added(database, prompt="a red house")
    for _ in range(2):
        await database.index_prompts()
    asked = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = CAST(:name AS regclass)")
    assert await database.read(lambda c: c.scalar(asked, {"name": prompt_words.NAME})) is True
    assert await found(database, "house") == {1}
