"""The bot's owners hear of trouble: one message for each kind."""

import asyncio
import logging

import pytest

from bot import alerts
from bot.alerts import Alerts
from core.redact import Redactor
from core.supervisor import Supervisor
from tests.bot.conftest import Studio
from tests.jobs.conftest import until


def _alerts(studio: Studio) -> Alerts:
    return Alerts(studio.bot, studio.built.queue, lambda: studio.bot.studio.owner_ids, Redactor())


@pytest.mark.slow
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
    with _alerts(studio) as handler:
        for job in ("one", "two", "three"):
            log.error("job %s can't be saved", job)
        log.error("the disk is full")
        log.warning("nothing worth a message")
        async with asyncio.timeout(5):
            await both.wait()
        await asyncio.gather(*handler._tasks)
    with _alerts(studio):  # as after a restart
        log.error("job %s can't be saved", "four")
        await asyncio.sleep(0.3)
    assert len(sent) == 2 and any("job one" in text for text in sent) and any("disk" in text for text in sent)


class _Owner:
    """An owner whose direct messages are closed for the first ``closed`` tries."""

    def __init__(self, closed: int = 0) -> None:
        self.closed, self.tries, self.sent = closed, 0, []

    async def send(self, text: str, **_: object) -> None:
        self.tries += 1
        if self.tries <= self.closed:
            raise OSError("no route")
        self.sent.append(text)


async def _trouble(studio: Studio, owner: _Owner, times: int) -> None:
    async def fetch_user(_: int) -> _Owner:
        return owner

    studio.bot.fetch_user = fetch_user
    with _alerts(studio) as handler:
        for _ in range(times):
            logging.getLogger("jobs.somewhere").error("the disk is full")
            await asyncio.sleep(0)
            await asyncio.gather(*handler._tasks)


async def test_each_work_in_the_background_that_fails_is_told(studio: Studio) -> None:
    owner, supervisor = _Owner(), Supervisor()

    async def fail() -> None:
        raise KeyError("nobody has thought of it")

    async def fetch_user(_: int) -> _Owner:
        return owner

    studio.bot.fetch_user = fetch_user
    with _alerts(studio) as handler:
        works = [asyncio.create_task(supervisor.forever(name, fail)) for name in ("backups", "indexing")]
        await until(lambda: len(owner.sent) == 2)
        for work in works:
            work.cancel()
        await asyncio.gather(*handler._tasks)
    told = " ".join(owner.sent)
    assert "backups failed; it begins again in 1 s" in told and "indexing failed" in told


async def test_trouble_that_lasts_is_told_again_in_one_process(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "LOOK_AFTER", 0.0)
    owner = _Owner()
    await _trouble(studio, owner, 2)
    assert len(owner.sent) == 1
    monkeypatch.setattr(alerts, "REMIND_AFTER", alerts.timedelta(0))
    await _trouble(studio, owner, 1)
    assert len(owner.sent) == 2


async def test_an_alert_that_was_not_sent_does_not_count_as_told(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "LOOK_AFTER", 0.0)
    owner = _Owner(closed=1)
    await _trouble(studio, owner, 2)
    assert owner.tries == 2 and len(owner.sent) == 1
