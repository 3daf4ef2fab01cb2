"""✅ and ❌ under an answer: whether people found it right."""

import sqlalchemy as sa

from bot.cogs.messages import RIGHT, WRONG
from storage import conversations as rows
from storage import privacy
from storage.conversations import Feedback
from storage.schema import feedback
from tests.bot.conftest import Studio
from tests.bot.test_ask import MODEL, asked
from tests.bot.test_asking import said
from tests.bot.test_presses import job_of
from tests.support.messages import text_of

SETTINGS = MODEL


async def found(studio: Studio, job_id: str) -> Feedback:
    return await studio.built.database.read(lambda c: rows.read_feedback(c, job_id))


async def test_what_people_find_of_an_answer_is_counted_once_for_each_and_told_in_its_details(
    studio: Studio,
) -> None:
    message = await asked(studio)
    job = await job_of(studio, message)
    assert "Found" not in text_of(said(await studio.alice.click(message, label="Details")))
    await studio.bob.react(message, RIGHT)
    await studio.alice.react(message, RIGHT)
    assert await found(studio, job.id) == (2, 0)
    await studio.alice.react(message, WRONG)  # the newest counts
    assert await found(studio, job.id) == (1, 1)
    assert "**Rated** right by 1, wrong by 1" in text_of(
        said(await studio.bob.click(message, label="Details"))
    )
    await studio.alice.unreact(message, RIGHT)  # she has changed her mind before
    assert await found(studio, job.id) == (1, 1)
    await studio.alice.unreact(message, WRONG)
    assert await found(studio, job.id) == (1, 0)


async def test_a_cross_under_an_answer_of_ones_own_deletes_nothing(studio: Studio) -> None:
    message = await asked(studio)
    await studio.alice.react(message, WRONG)
    assert message.id in [m.id for m in studio.channel.history()]
    await studio.alice.react(message, "✖️")
    assert message.id not in [m.id for m in studio.channel.history()]


async def test_feedback_goes_with_its_author_and_with_the_job(studio: Studio) -> None:
    message = await asked(studio)
    job = await job_of(studio, message)
    await studio.alice.react(message, RIGHT)
    await studio.bob.react(message, WRONG)
    shown = text_of(said(await studio.bob.slash(studio.channel, "privacy show")))
    assert "1 answer that you rated right or wrong" in shown
    exported = await studio.built.database.read(lambda c: _export(c, studio.bob.id))
    assert [(row["job_id"], row["is_right"]) for row in exported] == [(job.id, 0)]
    await studio.built.privacy.delete(studio.bob.id)
    assert await found(studio, job.id) == (1, 0)
    await studio.built.privacy.delete(studio.alice.id)
    count = sa.select(sa.func.count()).select_from(feedback)
    assert await studio.built.database.read(lambda c: c.execute(count).scalar_one()) == 0


def _export(connection: sa.Connection, user_id: int) -> list[dict]:
    return privacy.export(connection, user_id, "feedback")[0]
