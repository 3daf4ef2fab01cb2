"""The bot's owners hear of trouble: one message for each kind."""

import asyncio
import logging

from bot.alerts import Alerts
from core.redact import Redactor
from tests.bot.conftest import Studio


def _alerts(studio: Studio) -> Alerts:
    return Alerts(studio.bot, studio.built.queue, lambda: studio.bot.studio.owner_ids, Redactor())


async def test_the_owner_hears_of_each_kind_of_trouble_once(studio: Studio) -> None:
    log = logging.getLogger("jobs.somewhere")
    sent: list[str] = []
    both = asyncio.Event()

    class _User:
        async def send(self, text: str, **_: object) -> None:
            sent.append(text)
            if len(sent) == 2:
                both.set()

    async def fetch_user(_: int) -> _User:
        return _User()

    studio.bot.fetch_user = fetch_user
    with _alerts(studio):
        for job in ("one", "two", "three"):
            log.error("job %s can't be saved", job)
        log.error("the disk is full")
        log.warning("nothing worth a message")
        async with asyncio.timeout(5):
            await both.wait()
    with _alerts(studio):  # as after a restart
        log.error("job %s can't be saved", "four")
        await asyncio.sleep(0.3)
    assert len(sent) == 2 and any("job one" in text for text in sent) and any("disk" in text for text in sent)
