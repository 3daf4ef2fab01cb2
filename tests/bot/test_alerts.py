"""The bot's owners hear of trouble: one message for each kind."""

import asyncio
import logging
from pathlib import Path

import pytest

from bot import gateway
from bot.gateway import Alerts
from core.errors import StorageError
from core.process import Supervisor
from core.redact import Redactor
from tests.bot.conftest import Studio
from tests.jobs.conftest import until


def _alerts(studio: Studio) -> Alerts:
    return Alerts(
        studio.bot, studio.built.queue, lambda: studio.bot.studio.rights.authority.owner_ids, Redactor()
    )


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
        await asyncio.gather(*handler.tasks)
    with _alerts(studio):  # as after a restart
        log.error("job %s can't be saved", "four")
        await asyncio.sleep(0.3)
    assert len(sent) == 2 and any("job one" in text for text in sent) and any("disk" in text for text in sent)


PACKAGES = sorted(path.parent.name for path in Path(__file__).parents[2].glob("*/__init__.py"))


class _Told:
    """As much of a client and of a queue as alerts use; what owner 1 is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.flags: dict[str, str] = {}
        self.people = self

    async def wait_until_ready(self) -> None:
        pass

    async def fetch_user(self, user_id: int) -> "_Told":
        return self

    async def send(self, text: str, **_: object) -> None:
        self.sent.append(text)

    async def user_flag(self, user_id: int, key: str) -> str | None:
        return self.flags.get(key)

    async def set_user_flag(self, user_id: int, key: str, value: str) -> None:
        self.flags[key] = value


async def _settled(handler: Alerts) -> None:
    await asyncio.sleep(0)
    await asyncio.gather(*handler.tasks)


async def test_errors_of_every_package_and_of_what_runs_below_reach_the_owner() -> None:
    told, names = _Told(), [*PACKAGES, "discord.client", "asyncio"]
    assert {"bot", "core", "host", "jobs", "storage", "studio", "vision", "web"} <= set(names)
    with Alerts(told, told, lambda: {1}, Redactor()) as handler:
        for name in names:
            logging.getLogger(f"{name}.somewhere").error("number %d broke", 1)
            logging.getLogger(f"{name}.somewhere").error("number %d broke", 2)
        await _settled(handler)
    assert [text.partition("`")[2].rstrip("`") for text in told.sent] == [
        f"{name}.somewhere: number 1 broke" for name in names
    ]


async def test_a_task_that_died_is_told_once_by_its_error_and_a_reconnect_never() -> None:
    told = _Told()
    with Alerts(told, told, lambda: {1}, Redactor()) as handler:
        for error in (ZeroDivisionError("first"), ZeroDivisionError("second"), KeyError("third")):
            context = {"message": "Task exception was never retrieved", "exception": error, "task": object()}
            asyncio.get_running_loop().default_exception_handler(context)
        for name in ("discord.client", "discord.shard"):
            logging.getLogger(name).error("Attempting a reconnect in %.2fs", 1.0)
        await _settled(handler)
    assert len(told.sent) == 2
    assert "asyncio: Task exception was never retrieved (ZeroDivisionError)" in told.sent[0]


async def test_trouble_of_the_database_makes_no_second_trouble_of_telling_it() -> None:
    told = _Told()

    async def away(*_: object) -> None:
        raise StorageError("the database doesn't answer")

    told.user_flag = away
    with Alerts(told, told, lambda: {1}, Redactor()) as handler:
        logging.getLogger("storage.somewhere").error("a write failed")
        await _settled(handler)
    assert told.sent == []


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
            await asyncio.gather(*handler.tasks)


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
        await asyncio.gather(*handler.tasks)
    told = " ".join(owner.sent)
    assert "backups failed; it begins again in 1 s" in told and "indexing failed" in told


async def test_trouble_that_lasts_is_told_again_in_one_process(studio: Studio, monkeypatch) -> None:
    monkeypatch.setattr(gateway, "LOOK_AFTER", 0.0)
    owner = _Owner()
    await _trouble(studio, owner, 2)
    assert len(owner.sent) == 1
    monkeypatch.setattr(gateway, "REMIND_AFTER", gateway.timedelta(0))
    await _trouble(studio, owner, 1)
    assert len(owner.sent) == 2


async def test_an_alert_that_was_not_sent_does_not_count_as_told(studio: Studio, monkeypatch) -> None:
    monkeypatch.setattr(gateway, "LOOK_AFTER", 0.0)
    owner = _Owner(closed=1)
    await _trouble(studio, owner, 2)
    assert owner.tries == 2 and len(owner.sent) == 1
