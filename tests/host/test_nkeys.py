"""Signing in on the bus by keys: the server knows their public halves alone."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import stat
from pathlib import Path

import pytest
from nats.aio.client import Client

from core.errors import BusError, SettingsError
from core.events import Rendered
from core.settings import Settings, load_settings
from host import nats_accounts
from jobs.cluster.executor import BusExecutor
from jobs.cluster.nats import connected, read_credentials
from tests.jobs.cluster.conftest import QUICK, agent_of
from tests.jobs.conftest import ask, open_queue, until
from tests.support import nats

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
async def test_by_keys_jobs_are_done_rights_hold_and_a_wrong_seed_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
        log = "".join(path.read_text() for path in Path(server._file).parent.glob("*.log")) + caplog.text
    assert all(path.read_text().strip().partition(":")[2] not in log for path in (bots, workers, strange))
