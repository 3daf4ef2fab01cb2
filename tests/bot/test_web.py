"""/web: a link for its asker alone, and the end of all their sessions."""

from pathlib import Path

import pytest

from core.errors import NotAllowedError
from storage.sessions import Sessions
from studio.authority import Actor
from tests.bot.conftest import Studio, open_studio
from tests.support.messages import act, items_of, text_of


async def _answer(studio: Studio, **options: object) -> str:
    """What /web tells Alice; nobody else sees it."""
    sent = await studio.alice.slash(studio.channel, "web", **options)
    shown = sent.response or sent.followups[-1]
    assert sent.ephemeral
    return text_of(shown)


async def test_web_hands_over_a_link_that_signs_its_asker_in(studio: Studio) -> None:
    sessions: Sessions = studio.built.web.sessions
    assert "is off here" in await _answer(studio)
    with studio.built.web.opened("https://studio.example"):
        link = (await _answer(studio)).split(">")[0].strip("<")
    address, _, token = link.partition("#")
    assert address == "https://studio.example/in"
    assert await sessions.offered(token) == studio.alice.name
    cookie = await sessions.sign_in(token, "a browser")
    assert cookie is not None and (await sessions.find(cookie)).user_id == studio.alice.id
    assert "1 session ended" in await _answer(studio, sign_out=True)
    assert await sessions.find(cookie) is None


async def test_web_lists_tokens_and_leads_to_where_they_are_made(studio: Studio) -> None:
    actor = Actor(studio.alice.id, None)
    with studio.built.web.opened("https://studio.example"):
        await studio.bot.studio.programs.create(actor, "Open WebUI", ["look", "draw"])
        told = await _answer(studio, tokens=True)
    assert "**Open WebUI** look, draw · until " in told
    assert "https://studio.example/in?next=%2Fprograms#" in told


async def test_a_manager_forbids_programs_and_the_audit_tells(studio: Studio) -> None:
    programs = studio.bot.studio.programs
    _made, secret = await programs.create(Actor(studio.alice.id, None), "a script", ["look"])
    await studio.mira.slash(studio.channel, "studio programs", tokens="off")
    guild = studio.channel.guild.id
    assert not await studio.bot.studio.rights.sight.reaches(Actor(1, None, program=True), guild)
    assert await studio.bot.studio.rights.sight.reaches(Actor(1, None), guild)
    with pytest.raises(NotAllowedError, match="forbidden here"):  # the bot's only server speaks for all
        await programs.enter(secret, "127.0.0.1")
    rules = await studio.mira.slash(studio.channel, "studio rules")
    assert "**Programs** shut out" in text_of(rules.followups[-1])
    await studio.mira.slash(studio.channel, "studio programs", tokens="on")
    assert (await programs.enter(secret, "127.0.0.1"))[1].program


PAGES = ("edit", "pictures")


def _links(message) -> list[str]:
    return [item.url for item in items_of(message) if item.url]


async def test_a_picture_links_to_its_page_where_the_world_finds_the_studio(tmp_path: Path) -> None:
    async with open_studio(tmp_path, WEB_PORT="8080", PUBLIC_URL="https://studio.example") as studio:
        await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
        grid = studio.last()
        job = (await studio.members.recent(studio.alice.id))[0]
        assert _links(grid) == [f"https://studio.example/pictures/{job.id}/1"]
        await studio.alice.click(grid, label="U3")
        assert _links(studio.last()) == [f"https://studio.example/{page}/{job.id}/3" for page in PAGES]
        await act(studio.alice, studio.last(), "cutout")
        cut = (await studio.members.recent(studio.alice.id))[0].id
        assert _links(studio.last()) == [f"https://studio.example/{page}/{cut}/1" for page in PAGES]


async def test_without_an_address_for_the_world_there_is_no_such_link(studio: Studio) -> None:
    await studio.alice.slash(studio.channel, "imagine", prompt="a red house")
    assert _links(studio.last()) == []
