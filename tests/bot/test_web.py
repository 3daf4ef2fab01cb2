"""/web: a link for its asker alone, and the end of all their sessions."""

from storage.web.sessions import Sessions
from tests.bot.conftest import Studio


async def _answer(studio: Studio, **options: object) -> str:
    """What /web tells Alice; nobody else sees it."""
    sent = await studio.alice.slash(studio.channel, "web", **options)
    shown = sent.response or sent.followups[-1]
    assert sent.ephemeral
    return shown.content


async def test_web_hands_over_a_link_that_signs_its_asker_in(studio: Studio) -> None:
    sessions: Sessions = studio.built.web.sessions
    assert "isn't open here" in await _answer(studio)
    with studio.built.web.opened("https://studio.example"):
        link = (await _answer(studio)).split(">")[0].strip("<")
    address, _, token = link.partition("#")
    assert address == "https://studio.example/in"
    assert await sessions.offered(token) == studio.alice.name
    cookie = await sessions.sign_in(token, "a browser")
    assert cookie is not None and (await sessions.find(cookie)).user_id == studio.alice.id
    assert "1 session ended" in await _answer(studio, sign_out=True)
    assert await sessions.find(cookie) is None
