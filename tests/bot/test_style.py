"""/style in Discord: pictures, a training, and the name that prompts use."""

from core.requests.custom_models import STYLE, BundleRequest, TrainRequest
from tests.bot.conftest import Studio
from tests.bot.test_own_models import good, press, told
from tests.bot.test_presses import job_of
from tests.support.messages import ids_of, items_of, names_of, send_window, text_of


async def said(studio: Studio, what: str, by=None, **options) -> str:
    return told(await (by or studio.alice).slash(studio.channel, f"style {what}", **options))


async def filled(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "style add", name="woodcut")
    await send_window(studio.alice, shown, pictures=[good(n) for n in range(1, 6)])


async def test_a_style_is_made_filled_trained_and_named(studio: Studio) -> None:
    result = await studio.alice.slash(studio.channel, "style new", name="woodcut", words="in woodcut style")
    assert result.ephemeral and "0 pictures; a style needs at least 5." in told(result)
    shown = await press(studio, result.response, "add")
    assert len(shown.modal["components"]) == 1, "a style has no labels"
    added = await studio.alice.submit_modal(shown, {"pictures": [good(n) for n in range(4)]})
    assert "4 pictures" in told(added) and "without a label" not in told(added)
    assert "A style takes 5 to 40 pictures; there are 4." in await said(studio, "train", name="woodcut")
    assert "5 pictures" in await said(studio, "add", name="woodcut", image=good(5))
    await studio.alice.slash(studio.channel, "style train", name="woodcut")
    message = studio.last()
    job = await job_of(studio, message)
    assert isinstance(job.request, TrainRequest) and job.request.task == STYLE
    assert job.request.words == "in woodcut style"
    assert "Training of a style by" in text_of(message) and "--lora woodcut" in text_of(message)
    assert {one.split(":")[2] for one in ids_of(message)} == {"bundle", "report", "captions"}
    samples = await studio.alice.slash(studio.channel, "style samples", name="woodcut")
    assert "Samples 200" in names_of(samples.response)
    chart = await studio.alice.click(samples.response, label="Samples 200")
    assert chart.response.attachments and "Samples 200 of version 1" in told(chart)


async def test_a_style_is_taken_away_and_forgotten(studio: Studio) -> None:
    await said(studio, "new", name="woodcut", only_me=True)
    await filled(studio)
    trained = await studio.alice.slash(studio.channel, "style train", name="woodcut")
    assert trained.ephemeral and studio.channel.history() == []
    packed = await studio.alice.slash(studio.channel, "style export", name="woodcut")
    assert packed.ephemeral and packed.response.attachments[0].filename == "woodcut-v1.zip"
    [job] = [j for j in await jobs(studio) if isinstance(j.request, BundleRequest)]
    assert job.origin.private
    for what in ("show", "train", "export", "forget"):
        assert "no such project" in await said(studio, what, studio.bob, name="woodcut")
    asked = await studio.alice.slash(studio.channel, "style forget", name="woodcut")
    assert "**woodcut** is deleted." in told(await press(studio, asked.response, "forget"))


async def jobs(studio: Studio):
    from sqlalchemy import select

    from storage.job_queries import to_job
    from storage.schema import jobs as rows

    found = await studio.built.database.read(lambda connection: connection.execute(select(rows)).all())
    return [to_job(row) for row in found]


async def test_a_style_judges_nothing(studio: Studio) -> None:
    await said(studio, "new", name="woodcut")
    await filled(studio)
    await studio.alice.slash(studio.channel, "style train", name="woodcut")
    result = await studio.alice.slash(studio.channel, "inspect try", name="woodcut", image=good(7))
    assert "A style can't judge pictures" in told(result)
    found = await studio.alice.autocomplete(studio.channel, "inspect try", "name", "")
    assert found == []
    found = await studio.alice.autocomplete(studio.channel, "style train", "name", "wood")
    assert [choice["name"] for choice in found] == ["woodcut (style)"]


async def test_captions_are_shown_and_changed(studio: Studio) -> None:
    await said(studio, "new", name="woodcut")
    await filled(studio)
    card = await studio.alice.slash(studio.channel, "style show", name="woodcut")
    shown = await press(studio, card.response, "captions")
    assert "**5** none yet" in told(shown) and len(shown.response.attachments) == 5
    written = await press(studio, shown.response, "describe")
    assert "Captions being written: 5" in told(written)
    [menu] = [one for one in items_of(shown.response) if one.custom_id.startswith("pm:")]
    second = menu.values[1]
    window = await studio.alice.select(shown.response, [second], custom_id=menu.custom_id)
    changed = await studio.alice.submit_modal(window, {"label": "a boat at sea"})
    assert "**2** a boat at sea" in told(changed)
