"""Rights on the bus, as the file that `atelier bus --print-config` prints gives them, on a real server.
Signing in on the bus by keys: the server knows their public halves alone."""

import asyncio
import importlib.util
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client

from core.errors import BusError, SettingsError
from core.events import Rendered
from core.settings import Settings, load_settings
from host import doctor_services, nats_accounts
from jobs.cluster.executor import LOAD_SUBJECT, AskLoad, BusExecutor, Load, answer_load
from jobs.cluster.nats import connected, read_credentials
from tests.jobs.cluster.conftest import QUICK, agent_of
from tests.jobs.conftest import ask, open_queue, until
from tests.support import nats

SPY = '    { user: "spy", password: "spy" },\n'
WORKER_MAY_NOT_SAY = """
    at.beat.h2 at.beat at.beat.h1.more at.done.h2 at.file.h2 at.put.h2 at.run.h1 at.run.h2
    at.stop.h1 at.stop.h2 at.hold.h1 at.hold.h2 at.ask.h1 at.ask.h2 at.forget at.queue.pause
    at.queue.new at.gate.0 at.bot.hello at.job at.job.a.b other.beat.h1 _INBOX.bot.reply
    _INBOX.worker-h2.reply $SYS.REQ.SERVER.PING
""".split()
WORKER_MAY_NOT_HEAR = """
    > at.> *.*.* at.beat.* at.beat.h1 at.job.* at.job.abc at.run.* at.run.h2 at.stop.h2 at.hold.h2
    at.ask.h2 at.done.* at.file.h1 at.put.h1 at.queue.> at.gate.> at.bot.> _INBOX.> _INBOX.bot.>
    _INBOX.worker-h2.> $SYS.>
""".split()
LAUNCHER_MAY_NOT_SAY = """
    at.queue.view at.queue.cancel at.queue.look at.queue.pause at.beat.h1 at.job.abc at.done.h1
    at.file.h1 at.run.h1 at.ask.h1 at.forget at.gate.0 at.bot.hello _INBOX.bot.reply
    _INBOX.worker-h1.reply other.queue.load
""".split()
LAUNCHER_MAY_NOT_HEAR = """
    > at.> at.queue.> at.queue.load at.beat.* at.job.* at.run.* at.done.* at.file.* at.bot.>
    _INBOX.> _INBOX.bot.> _INBOX.worker-h1.>
""".split()
BOT_MAY_NOT_SAY = """
    at.beat.h1 at.job.abc at.done.h1 at.file.h1 at.put.h1 other.run.h1 at.refused
""".split()
BOT_MAY_NOT_HEAR = """
    > at.> at.run.h1 at.ask.* _INBOX.> _INBOX.worker-h1.> $SYS.> other.>
""".split()


@pytest.fixture
def texts() -> str:
    return nats_accounts.server_config("at", ["h1", "h2"], launcher=True)


@pytest.fixture
def server(texts: str) -> Iterator[nats.Server]:
    nats.need()
    with nats.server(texts.replace("  users: [\n", f"  users: [\n{SPY}")) as found:
        yield found


def creds(texts: str, user: str) -> str:
    found = re.search(rf"# BUS_CREDS=({user}:\S+)", texts)
    assert found is not None
    return found[1]


class Peer:
    """A program with an account, and what the server refused it."""

    def __init__(self) -> None:
        self.client, self.refused, self.heard = Client(), list[str](), list[str]()

    async def connect(self, server: nats.Server, who: str) -> "Peer":
        user, _, password = who.partition(":")
        await self.client.connect(
            server.url, user=user, password=password, error_cb=self._error, inbox_prefix=f"_INBOX.{user}"
        )
        return self

    async def _error(self, error: Exception) -> None:
        self.refused.append(str(error).lower())

    async def hear(self, subject: str) -> None:
        async def note(message: object) -> None:
            self.heard.append(message.subject)  # type: ignore[attr-defined]

        await self.client.subscribe(subject, cb=note)


@pytest.mark.bus
@pytest.mark.parametrize(
    ("who", "say", "hear"),
    [
        ("worker-h1", WORKER_MAY_NOT_SAY, WORKER_MAY_NOT_HEAR),
        ("launcher", LAUNCHER_MAY_NOT_SAY, LAUNCHER_MAY_NOT_HEAR),
        ("bot", BOT_MAY_NOT_SAY, BOT_MAY_NOT_HEAR),
    ],
)
async def test_the_server_refuses_what_an_account_may_not(server: nats.Server, texts, who, say, hear) -> None:
    spy, other, one = Peer(), Peer(), Peer()
    await spy.connect(server, "spy:spy")
    await other.connect(server, creds(texts, "worker-h2"))
    await one.connect(server, creds(texts, who))
    await spy.hear(">")
    await spy.client.flush()
    for subject in say:
        await one.client.publish(subject, b"x")
    await one.client.flush()
    await spy.client.flush()
    await until(lambda: sum("publish" in line for line in one.refused) == len(say))
    assert spy.heard == []
    for subject in hear:
        await one.hear(subject)
    await one.client.flush()
    for subject in (
        "at.beat.h2",
        "at.job.abc",
        "at.run.h2",
        "at.queue.x",
        "_INBOX.bot.x",
        "_INBOX.worker-h2.x",
    ):
        await spy.client.publish(subject, b"secret")
    await spy.client.publish("at.run.h1", b"secret")
    await spy.client.flush()
    await one.client.flush()
    await asyncio.sleep(0.05)
    await until(lambda: sum("subscription" in line for line in one.refused) == len(hear))
    assert one.heard == []
    for peer in (spy, other, one):
        with suppress(Exception):
            await peer.client.close()


@pytest.mark.bus
async def test_with_these_rights_jobs_run_and_doctor_is_content(server: nats.Server, texts, tmp_path) -> None:
    def settings(user: str, node: str) -> dict[str, str]:
        return {"BUS_URL": server.url, "BUS_CREDS": creds(texts, user), "NODE_NAME": node}

    bot_settings = load_settings(settings("bot", "x"), Path("/nowhere"))
    worker_settings = load_settings(settings("worker-h1", "h1"), Path("/nowhere"))
    async with connected(bot_settings) as bus, connected(worker_settings) as theirs:
        assert await bus.until_up(10) and await theirs.until_up(10)
        agent = agent_of(theirs, "h1", tmp_path)
        await agent.start()
        async with open_queue(tmp_path, BusExecutor(bus, tmp_path / "scratch", timing=QUICK)) as queue:
            asked = await ask(queue)
            events = [event async for event in queue.watch(asked.job.id)]
            assert isinstance(events[-1], Rendered)
            telling = asyncio.create_task(answer_load(bus, queue))
            async with connected(load_settings(settings("launcher", "x"), Path("/nowhere"))) as asking:
                assert await asking.until_up(10)
                told = await asking.request(LOAD_SUBJECT, AskLoad(), Load, patience=5)
                assert (told.waiting, [one.name for one in told.machines]) == (0, ["h1"])
                assert asking.counts.refused == 0
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        found = {one.name: one for one in await doctor_services.check_bus(bot_settings)}
        assert found["Bus"].ok and found["Rights on the bus"].ok
        assert found["Machines"].found == "responding, with devices: h1 (1)"
        names = [one.name for one in await doctor_services.check_bus(worker_settings)]
        assert names == ["Bus", "Rights on the bus"]
        await agent.stop(0)
        assert bus.counts.refused == theirs.counts.refused == 0


@pytest.mark.bus
async def test_doctor_tells_of_a_bus_that_is_away_open_or_small(tmp_path: Path) -> None:
    nats.need()
    server = nats.Server(tmp_path, "")
    settings = load_settings({"BUS_URL": f"{server.url},nats://10.255.255.1:4222"}, Path("/nowhere"))
    server.start()
    try:
        found = {one.name + one.found: one.ok for one in await doctor_services.check_bus(settings)}
    finally:
        server.stop()
    assert [ok for text, ok in found.items() if "anyone who reaches" in text] == [None]
    assert [ok for text, ok in found.items() if "up to 1 MB" in text] == [None]
    assert [ok for text, ok in found.items() if "not encrypted" in text] == [None]


async def test_doctor_says_nothing_without_a_bus_and_fails_for_one_that_is_away(monkeypatch) -> None:
    monkeypatch.setattr(doctor_services, "PATIENCE", 0.2)
    assert await doctor_services.check_bus(load_settings({}, Path("/nowhere"))) == []
    [found] = await doctor_services.check_bus(
        load_settings({"BUS_URL": "nats://127.0.0.1:1"}, Path("/nowhere"))
    )
    assert found.ok is False and "can't be reached" in found.found


@pytest.mark.parametrize("names", [["h 1"], ["a.b"], [""], ["h1", "h1"], [">"], ['"']])
def test_a_machine_that_no_subject_can_name_is_refused(names: list[str]) -> None:
    with pytest.raises(SettingsError):
        nats_accounts.server_config("at", names)


SEED = "SU" + "A" * 56
JWT = "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n"


def need() -> None:
    """Skip a test where there is no package nkeys, unless under CI."""
    if importlib.util.find_spec("nkeys") is None:
        reason = "there is no nkeys: make setup EXTRAS=nkeys"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def settings(url: str, creds: Path | str, node: str) -> Settings:
    return load_settings({"BUS_URL": url, "BUS_CREDS": str(creds), "NODE_NAME": node}, Path("/nowhere"))


@pytest.mark.parametrize("text", [SEED, f"bot:{SEED}", JWT])
def test_a_missing_package_is_named_and_the_secret_is_not(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BusError, match=r"make setup EXTRAS=nkeys.*takes user:password") as caught:
        read_credentials(text)
    assert SEED not in str(caught.value) and "abc" not in str(caught.value)


def test_a_seed_behind_a_name_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    known = read_credentials(f"worker-h1:{SEED}")
    assert known.user == "worker-h1" and known.options == {"nkeys_seed_str": SEED}
    assert SEED not in repr(known) and read_credentials("bot:SUch").options["password"] == "SUch"


@pytest.mark.bus
def test_seeds_are_files_of_their_own_and_never_written_over(tmp_path: Path) -> None:
    need()
    text, made = nats_accounts.server_config_by_keys("at", ["h1"], tmp_path / "keys", launcher=True)
    assert [path.name for path in made] == ["bot.creds", "worker-h1.creds", "launcher.creds"]
    for path in made:
        user, _, seed = path.read_text().strip().partition(":")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and f"{user}.creds" == path.name
        assert seed not in text and read_credentials(str(path)).options == {"nkeys_seed_str": seed}
    assert "password" not in text and text.count('nkey: "U') == 3
    before = made[0].read_text()
    with pytest.raises(SettingsError, match="is there already"):
        nats_accounts.server_config_by_keys("at", ["h2"], tmp_path / "keys")
    assert made[0].read_text() == before and not (tmp_path / "keys" / "worker-h2.creds").exists()


@pytest.mark.bus
async def test_by_keys_jobs_are_done_rights_hold_and_a_wrong_seed_is_refused(tmp_path: Path, caplog) -> None:
    need()
    nats.need()
    caplog.set_level(logging.DEBUG)
    text, (bots, workers) = nats_accounts.server_config_by_keys("at", ["h1"], tmp_path / "keys")
    _, (strange, _) = nats_accounts.server_config_by_keys("at", ["h1"], tmp_path / "other")
    with nats.server(text) as server:
        mine, theirs = settings(server.url, bots, "x"), settings(server.url, workers, "h1")
        async with connected(mine) as bus, connected(theirs) as far:
            assert await bus.until_up(10) and await far.until_up(10)
            agent = agent_of(far, "h1", tmp_path)
            await agent.start()
            async with open_queue(tmp_path, BusExecutor(bus, tmp_path / "scratch", timing=QUICK)) as queue:
                asked = await ask(queue)
                events = [event async for event in queue.watch(asked.job.id)]
                assert isinstance(events[-1], Rendered)
            await agent.stop(0)
            assert bus.counts.refused == far.counts.refused == 0
        async with connected(settings(server.url, strange, "x")) as bus:
            await until(lambda: "uthorization" in bus.last_trouble)
            assert not bus.is_up
        refused = list[str]()

        async def note(error: Exception) -> None:
            refused.append(str(error).lower())

        client, seed = Client(), workers.read_text().strip().partition(":")[2]
        await client.connect(server.url, nkeys_seed_str=seed, error_cb=note)
        for subject in ("at.beat.h2", "at.run.h1", "_INBOX.bot.x"):
            await client.publish(subject, b"x")
        await client.flush()
        await until(lambda: sum("publish" in line for line in refused) == 3)
        await client.close()
        await asyncio.sleep(0)
        log = "".join(path.read_text() for path in Path(server.file).parent.glob("*.log")) + caplog.text
    assert all(path.read_text().strip().partition(":")[2] not in log for path in (bots, workers, strange))
