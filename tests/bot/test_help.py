"""The help that shows: pictures, and buttons that fill in a prompt or do a page's example."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from bot.cogs.account import DRAWN
from bot.ui import help as guide
from bot.ui.buttons import TryButton
from bot.ui.messages import length
from core.job import Lane
from studio.authority import Actor
from tests.bot.conftest import Studio, open_studio, png
from tests.bot.test_strangers import posted
from tests.support.messages import text_of


def command_of(studio: Studio, example: guide.Example) -> Any:
    """What an example runs."""
    command: Any = studio.bot.tree
    for name in example.command.split():
        command = command.get_command(name)
    return command


def test_the_first_pictures_are_what_their_prompts_drew() -> None:
    prompts = json.loads((DRAWN / "drawn.json").read_text(encoding="utf-8"))["prompts"]
    assert [one.text for one in guide.DRAWN] == prompts[: len(guide.DRAWN)]


async def test_each_command_s_page_has_an_example_that_fits_it(studio: Studio) -> None:
    assert set(guide.COMMANDS) <= set(guide.EXAMPLES)
    for topic, example in guide.EXAMPLES.items():
        command = command_of(studio, example)
        options = {one.name: one for one in command.parameters}
        given = {*example.others, *([example.option] if example.option else [])}
        assert given <= set(options), topic
        needed = {name for name, one in options.items() if one.required}
        assert needed <= given, topic
        assert length(str(TryButton(topic, 0).item.custom_id)) <= 100 and command.binding is not None
        assert inspect.iscoroutinefunction(command.callback)


async def test_help_opens_with_three_pictures_that_can_be_drawn(studio: Studio) -> None:
    shown = await studio.alice.slash(studio.channel, "help")
    assert shown.response.flags.ephemeral and len(shown.response.attachments) == 3
    assert "`/imagine` draws four pictures" in shown.response.content
    window = await studio.alice.click(shown.response, label="a yellow star at night")
    assert window.modal["components"][0]["component"]["value"] == "a yellow star at night"
    drawn = await studio.alice.submit_modal(window, {"prompt": "a yellow star at night, pixel --seed 100"})
    assert drawn.response.attachments
    [job] = await studio.members.recent(studio.alice.id)
    assert (job.request.prompt, job.request.seed) == ("a yellow star at night, pixel", 100)


async def test_a_page_s_example_is_done(studio: Studio) -> None:
    page = await studio.alice.slash(studio.channel, "help", topic="relax")
    await studio.alice.click(page.response, label="/relax")
    assert (await studio.members.preferences(studio.alice.id)).lane is Lane.RELAX
    page = await studio.alice.slash(studio.channel, "help", topic="describe")
    refused = await studio.alice.click(page.response, label="/describe")  # there is no last picture yet
    assert refused.followups[-1].flags.ephemeral
    await studio.alice.slash(studio.channel, "imagine", prompt="a boat")
    page = await studio.alice.slash(studio.channel, "help", topic="describe")
    described = await studio.alice.click(page.response, label="/describe")
    assert "telling number 1" in text_of(described.response)


@pytest.mark.parametrize(("topic", "index"), [("gone", 0), ("", 7)])
async def test_a_button_of_another_version_says_so(studio: Studio, topic: str, index: int) -> None:
    message = await posted(studio, TryButton(topic, index))
    said = await studio.alice.click(message, custom_id=f"hx:{topic}:{index}")
    assert "version" in said.response.content and png()


async def test_what_a_model_is_good_at_fills_in_a_prompt(studio: Studio) -> None:
    page = await studio.alice.slash(studio.channel, "help", topic="prompt")
    known = studio.bot.studio.hints.prompts
    window = await studio.alice.click(page.response, label=known[2])
    assert window.modal["components"][0]["component"]["value"] == known[2]
    drawn = await studio.alice.submit_modal(window, {"prompt": f"{known[2]} --seed 100"})
    assert drawn.response.attachments
    [job] = await studio.members.recent(studio.alice.id)
    assert job.request.seed == 100


async def test_of_a_model_without_examples_none_are_offered(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    async with open_studio(tmp_path / "data", IMAGE_MODELS=f"plain={tmp_path / 'plain'}") as studio:
        await studio.bot.studio.own.change(Actor(studio.alice.id, None), model="plain")
        message = await posted(studio, TryButton("prompt", 1))  # of when another was chosen
        said = await studio.alice.click(message, custom_id="hx:prompt:1")
        assert "version" in said.response.content
        page = await studio.alice.slash(studio.channel, "help", topic="prompt")
        assert len(page.response.components[0]["components"]) == 1
        assert "**Examples**" not in page.response.content
