"""/classify: own labels or the model's, and why."""

import pytest

from bot.cogs.classify import split_labels
from core.errors import UserError
from core.requests import WhyRequest
from studio.requests import actions
from tests.bot.conftest import Studio, open_studio
from tests.bot.test_moderation import Judge
from tests.support.messages import names_of, text_of


async def test_own_labels_best_first_with_a_chart(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture, labels="dog, cat, dog, ,bird")
    message = studio.last()
    assert "**dog** 50.0%" in text_of(message) and message.attachments
    job, _ = await studio.built.queue.job_of_message(message.id)
    assert job.request.labels == ("dog", "cat", "bird")


async def test_without_labels_the_models_own(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture)
    assert "**house**" in text_of(studio.last())


async def test_two_hundred_labels_are_refused_at_once(studio: Studio, picture) -> None:
    labels = ",".join(f"label {i}" for i in range(200))
    result = await studio.alice.slash(studio.channel, "classify", image=picture, labels=labels)
    assert result.ephemeral and "200 labels; up to 50" in text_of(result.response)


def test_labels_are_split_trimmed_and_kept_once() -> None:
    assert split_labels(" a , b,a,,  c  d ") == ("a", "b", "c d")
    assert split_labels(None) == split_labels(" , ,") == ()


def whys(message) -> list[str]:
    return names_of(message)


async def test_why_and_why_not_show_the_map_of_a_label(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture, labels="dog, cat, bird, fish")
    message = studio.last()
    assert whys(message) == ["Why dog?", "Why not cat?", "Why not bird?"]
    await studio.alice.click(message, label="Why not cat?")
    answer = studio.last()
    assert "Why" in text_of(answer) and "**cat** 50.0%" in text_of(answer) and answer.attachments
    job, _ = await studio.built.queue.job_of_message(answer.id)
    assert (job.request.kind, job.request.label) == ("why", "cat")
    assert job.request.labels == ("dog", "cat", "bird", "fish")
    assert job.parent_id and not whys(answer)


async def test_a_map_of_a_picture_that_may_not_be_shown_is_held_back(tmp_path, picture) -> None:
    async with open_studio(tmp_path, MODERATION="standard") as strict:
        strict.built.moderator.check = judge = Judge(0.0)
        await strict.alice.slash(strict.channel, "classify", image=picture)
        message = strict.last()
        await strict.mira.slash(strict.channel, "moderation pictures", treatment="block")
        judge.said = 0.9
        await strict.alice.click(message, label="Why house?")
        assert "held back" in text_of(strict.last()) and not strict.last().attachments


async def test_what_classify_did_not_say_is_not_explained(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture)
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    result = await studio.built.queue.result(job.id)
    assert actions.explain_label(result, 2).request == WhyRequest(image=job.request.image, label="tree")
    with pytest.raises(UserError, match="gave can be explained"):
        actions.explain_label(result, 3)
    await studio.alice.slash(studio.channel, "describe", image=picture)
    job, _ = await studio.built.queue.job_of_message(studio.last().id)
    with pytest.raises(UserError, match="gave can be explained"):
        actions.explain_label(await studio.built.queue.result(job.id), 0)
