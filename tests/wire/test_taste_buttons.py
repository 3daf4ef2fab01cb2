"""The buttons of tastes, pressed over the wire: after a restart, by another person, and twice."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.cogs.duel import DuelButton
from bot.cogs.taste import WordButton, nine_view
from bot.ui.buttons import JobButton, view_of
from storage.duels import add_duel
from tests.support.messages import items_of, text_of
from tests.wire.discord import EPHEMERAL, GUILD, Interaction, Message
from tests.wire.forked import ForkedBot
from tests.wire.test_buttons import ALICE, CHANNEL, Screen, said

BOB, DUEL = ALICE + 1, "abcd2345efgh"


def posted(discord: Screen, view: Any, flags: int = 0) -> Message:
    """A message with these buttons that an earlier life of the bot left behind."""
    message = discord.post(CHANNEL, "earlier", flags=flags)
    message.components = view.to_components()
    return message


async def told(discord: Screen, made: Interaction, seconds: float = 20) -> str:
    await discord.until(lambda: said(discord, made), seconds)
    return said(discord, made)


async def pressed(discord: Screen, message: Message, custom_id: str, user_id: int) -> str:
    return await told(discord, discord.press(message, custom_id, user_id))


def found(bot: ForkedBot, statement: str) -> list[tuple[Any, ...]]:
    """What a SELECT finds in the bot's rows."""
    engine = sa.create_engine(f"sqlite:///{bot.folder / 'atelier.db'}")
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
    engine.dispose()
    return rows


async def drawn(discord: Screen, bot: ForkedBot, *prompts: str) -> list[tuple[str, Interaction]]:
    """Jobs of ALICE's that are over, with what asked for them."""
    asked = [discord.slash("imagine", CHANNEL, ALICE, prompt=prompt) for prompt in prompts]
    for made in asked:
        await discord.until(lambda made=made: made.message and "job " in text_of(made.message))
    return [(bot.rows()[made.id][0], made) for made in asked]


@pytest.mark.slow
async def test_votes_of_a_duel_are_everybodys_own_and_counted_once(tmp_path: Path) -> None:
    async with Screen() as discord, ForkedBot(discord, tmp_path, USER_RUNNING="50") as bot:
        jobs = [job_id for job_id, _ in await drawn(discord, bot, "a red house", "a boat")]
        await bot.kill()
        shown = [(job_id, place) for job_id in jobs for place in (0, 1)]
        view = view_of(*(DuelButton(DUEL, number) for number in range(1, 5)))
        message = posted(discord, view)
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'atelier.db'}")
        with engine.begin() as connection:
            add_duel(connection, DUEL, GUILD, CHANNEL, shown, now=datetime.now(UTC))
        engine.dispose()
        await bot.start()
        for user_id, number in ((ALICE, 1), (ALICE, 1), (BOB, 2), (BOB, 1), (BOB, 4)):
            assert f"You like {number} more" in await pressed(
                discord, message, f"du:{DUEL}:{number}", user_id
            )
        votes = "SELECT user_id, number, liked FROM duel_votes ORDER BY 1, 2"
        expected = [(ALICE, 1, 1), (ALICE, 2, 0), (BOB, 1, 1), (BOB, 2, 0), (BOB, 3, 0), (BOB, 4, 1)]
        assert found(bot, votes) == expected
        await bot.kill()
        await bot.start()
        both = [discord.press(message, f"du:{DUEL}:2", ALICE) for _ in range(2)]
        for made in both:
            assert "You like 2 more" in await told(discord, made)
        assert found(bot, votes)[:2] == [(ALICE, 1, 0), (ALICE, 2, 1)]
        forged = posted(discord, view_of(DuelButton("zzzz2345efgh", 1), DuelButton(DUEL, 9)))
        for custom_id, refused in (
            ("du:zzzz2345efgh:1", "no such vote"),
            (f"du:{DUEL}:9", "nobody can vote"),
        ):
            assert refused in await pressed(discord, forged, custom_id, ALICE)
        assert message.versions == [], "nobody sees who votes"


@pytest.mark.slow
async def test_a_word_is_struck_out_of_the_pressers_own_taste(tmp_path: Path) -> None:
    def struck(user_id: int) -> bool:
        rows = found(bot, "SELECT user_id, choices FROM preferences")
        return any("watercolor" in choices for person, choices in rows if person == user_id)

    async with Screen() as discord, ForkedBot(discord, tmp_path) as bot:
        message = posted(discord, view_of(WordButton("out", "watercolor"), WordButton("back", "watercolor")))
        for _ in range(2):
            assert "isn't added" in await pressed(discord, message, "tv:out:watercolor", ALICE)
        assert struck(ALICE) and not struck(BOB)
        await bot.kill()
        await bot.start()
        assert "may be added" in await pressed(discord, message, "tv:back:watercolor", BOB)
        assert struck(ALICE), "another's press changes nothing of hers"
        both = [discord.press(message, "tv:back:watercolor", ALICE) for _ in range(2)]
        assert all(["may be added" in await told(discord, made) for made in both]) and not struck(ALICE)
        forged = posted(discord, view_of(WordButton("out", "nonsense")))
        assert "no word of your taste" in await pressed(discord, forged, "tv:out:nonsense", ALICE)


@pytest.mark.slow
async def test_the_others_are_one_job_of_each_presser(tmp_path: Path) -> None:
    settings = {"USER_RUNNING": "50"}
    async with Screen() as discord, ForkedBot(discord, tmp_path, **settings) as bot:
        [(job_id, made)] = await drawn(discord, bot, "a red house --p --seed 5")
        button = f"at:{job_id}:others:0"
        assert button not in [item.custom_id for item in items_of(made.message)], "nothing was chosen"
        await bot.kill()
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'atelier.db'}")
        with engine.begin() as connection:  # as though a taste had chosen
            connection.exec_driver_sql("UPDATE jobs SET parameters = json_set(parameters, '$.candidates', 8)")
        engine.dispose()
        message = posted(discord, view_of(JobButton(job_id, "others")))
        await bot.start()
        both = [discord.press(message, button, ALICE) for _ in range(2)]
        texts = [await told(discord, one, 60) for one in both]
        assert any("job " in text for text in texts) and not any("❌" in text for text in texts)
        assert "job " in await told(discord, discord.press(message, button, BOB), 60)
        jobs = found(bot, "SELECT user_id, request FROM jobs ORDER BY created_at")
        assert {user_id for user_id, _ in jobs[1:]} == {ALICE, BOB} and 3 <= len(jobs) <= 4
        assert all('"seeds"' in request and '"seed":9' in request.replace(" ", "") for _, request in jobs[1:])


async def nine(discord: Screen, user_id: int) -> Message:
    """A page to rate, as soon as there is one."""
    async with asyncio.timeout(150):
        while True:
            made = discord.slash("taste nine", CHANNEL, user_id)
            await told(discord, made)
            assert made.message is not None
            if items_of(made.message):
                return made.message
            await asyncio.sleep(2)


def ids(message: Message) -> Sequence[str]:
    return [item.custom_id for item in items_of(message) if item.custom_id]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_pages_of_nine_go_on_after_a_restart_and_count_once(tmp_path: Path) -> None:
    said_of = "SELECT user_id, sum(liked), count(*) FROM taste_choices GROUP BY 1 ORDER BY 1"
    async with Screen() as discord, ForkedBot(discord, tmp_path, WALL_SECONDS="600") as bot:
        page = await nine(discord, ALICE)
        assert page.flags & EPHEMERAL and len(items_of(page)) == 12
        await pressed(discord, page, ids(page)[1], ALICE)
        marked = ids(page)[1]
        assert marked.split(":")[3] == "2", "the second is marked"
        await bot.kill()
        await bot.start()
        await pressed(discord, page, ids(page)[4], ALICE)
        onward, kept = ids(page)[-2], [*page.components]
        for _ in range(2):  # the same page again counts once
            page.components = kept
            await pressed(discord, page, onward, ALICE)
        assert found(bot, said_of) == [(ALICE, 2, 9)]
        other = discord.post(CHANNEL, "shown to somebody else", flags=EPHEMERAL)
        other.components = kept
        await pressed(discord, other, onward, BOB)
        assert found(bot, said_of) == [(ALICE, 2, 9), (BOB, 2, 9)]
        gone = posted(discord, nine_view("0" * 16, [4_000_000_000 + n for n in range(9)], 1), EPHEMERAL)
        assert "aren't there any more" in await pressed(discord, gone, ids(gone)[-2], BOB)
