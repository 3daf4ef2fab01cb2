"""/classify: own labels or the model's."""

from bot.cogs.classify import split_labels
from tests.bot.conftest import Studio


async def test_own_labels_best_first_with_a_chart(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture, labels="dog, cat, dog, ,bird")
    message = studio.last()
    assert "**dog** 50.0%" in message.content and message.attachments
    job, _ = await studio.built.queue.job_of_message(message.id)
    assert job.request.labels == ("dog", "cat", "bird")


async def test_without_labels_the_models_own(studio: Studio, picture) -> None:
    await studio.alice.slash(studio.channel, "classify", image=picture)
    assert "**house**" in studio.last().content


async def test_two_hundred_labels_are_refused_at_once(studio: Studio, picture) -> None:
    labels = ",".join(f"label {i}" for i in range(200))
    result = await studio.alice.slash(studio.channel, "classify", image=picture, labels=labels)
    assert result.ephemeral and "200 labels; up to 50" in result.response.content


def test_labels_are_split_trimmed_and_kept_once() -> None:
    assert split_labels(" a , b,a,,  c  d ") == ("a", "b", "c d")
    assert split_labels(None) == split_labels(" , ,") == ()
