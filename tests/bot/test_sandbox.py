"""The two ways a newcomer starts it, as processes of their own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import discord
import pytest
import simcord

from bot.discord_api.interactions import PendingInteractions
from bot.sandbox import PAGE, TEXTS, Page, create_world, serve_sandbox
from bot.ui import help
from core.job import Origin, Reply, Status
from core.requests import ImagineRequest
from core.settings import ROOT, load_settings
from host.services import services
from studio.studio import Studio
from tests.bot.conftest import WORKER


def _start(tmp_path: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **more, "DATA_DIR": str(tmp_path), "OPEN_BROWSER": "off"}
    environment |= {"DISCORD_TOKEN": "", "DISK_FLOOR_MB": "0", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "bot", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _addresses(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The studio's address in a browser, and the simulated Discord's."""
    lines, studio = [], ""
    for line in process.stdout:
        lines.append(line)
        if "studio: http://127.0.0.1:" in line:
            studio = line.split("studio: ")[1].strip()
        if "sandbox: http://127.0.0.1:" in line:
            return studio, line.split("sandbox: ")[1].strip()
    raise AssertionError("no address:\n" + "".join(lines))


@pytest.mark.slow
def test_without_a_token_the_sandbox_serves_a_page_and_stops_cleanly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _start(tmp_path, METRICS_PORT=str(port)) as process:
        try:
            studio, discord = _addresses(process)
            for address, title in ((studio, b"Atelier"), (discord, b"<title>Atelier</title>")):
                with urllib.request.urlopen(address, timeout=20) as page:
                    assert page.status == 200 and title in page.read()
            for served, added in (("preview.css", "sandbox.css"), ("timeline.js", "sandbox.js")):
                with urllib.request.urlopen(discord.partition("#")[0] + served, timeout=20) as file:
                    assert file.read().endswith((PAGE / added).read_bytes())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as metrics:
                assert b"atelier_queue_depth" in metrics.read()
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=30)
            assert process.returncode == 0 and "ERROR" not in said and "Traceback" not in said
        finally:
            process.kill()
    assert (tmp_path / "atelier.db").is_file() and (tmp_path / "logs" / "atelier.log").is_file()


def test_each_run_has_the_same_people_and_new_ids() -> None:
    """Rows of an earlier run are known by the ids of its people, interactions and messages."""
    runs = []
    for page in (Page(), Page(), Page(dm=True)):
        env = simcord.Env(discord.Client(intents=discord.Intents.none()))
        channel, viewers = create_world(env, page)
        runs.append((channel.id, [viewer.id for viewer in viewers], env.backend.snowflake()))
        time.sleep(0.002)  # ids count milliseconds
    first, second, dm = runs
    assert first[:2] == second[:2] and dm[1] == first[1][:1] and dm[0] != first[0]
    assert len({run[2] for run in runs}) == 3


def test_what_is_replaced_on_simcords_page_is_there() -> None:
    html = Path(simcord.__file__).with_name("preview") / "static" / "index.html"
    text = html.read_text(encoding="utf-8")
    assert all(old in text for old in TEXTS)


async def test_it_starts_with_a_job_of_an_earlier_run_that_still_waits(tmp_path: Path) -> None:
    """And shows the result on the page, in whose channel it was asked for."""
    channel, [you, _] = create_world(simcord.Env(discord.Client(intents=discord.Intents.none())), Page())
    given = {"DATA_DIR": str(tmp_path), "DEVICES": "cpu", "DISK_FLOOR_MB": "0", "OPEN_BROWSER": "off"}
    async with services(load_settings(given, tmp_path / "none.env"), target=WORKER) as built:
        await built.queue.pause(you.id)
        origin = Origin(you.id, channel.id, channel.guild.id)
        reply = Reply(5, "a token of yesterday", 6)
        job = (await built.queue.submit(ImagineRequest(prompt="a boat"), origin, reply)).job
        pending = PendingInteractions(tmp_path / "unanswered")
        stopping, opened = asyncio.Event(), asyncio.Event()
        people: dict[str, int] = {}

        def announce(url: str, viewers: Mapping[str, int]) -> None:
            assert url.startswith("http://127.0.0.1:")
            people.update(viewers)
            opened.set()

        serving = asyncio.create_task(
            serve_sandbox(built, Studio(built), pending, stopping, Page(), announce)
        )
        await asyncio.wait(
            (serving, asyncio.ensure_future(opened.wait())), timeout=30, return_when=asyncio.FIRST_COMPLETED
        )
        assert opened.is_set() and not serving.done()
        assert people["you"] == you.id and set(people) == {"you", "guest"}
        await built.queue.resume(you.id)
        for _ in range(400):
            if (await built.queue.job(job.id)).status is Status.DELIVERED:
                break
            await asyncio.sleep(0.05)
        stopping.set()
        assert await serving == 0
        pending.close()
        assert (await built.queue.job(job.id)).reply.message_id is not None


def test_the_empty_channel_says_what_to_type_and_what_is_safe() -> None:
    text = help.welcome(["/imagine a boat"], 0)
    assert "> /imagine a boat" in text and "Enter" in text and "safe" not in text
    assert "Your 1 job is safe" in help.welcome([], 1)
    text = help.welcome([], 1234)
    assert "Your 1,234 jobs are safe" in text and "/show" in text and "Try one" not in text


def test_a_picture_for_the_dm_page_that_is_missing_is_named(tmp_path: Path) -> None:
    with _start(tmp_path, "sandbox", "--dm", "nowhere.png") as process:
        assert "nowhere.png" in process.stdout.read()
    assert process.returncode == 2


def test_wrong_settings_end_the_start_with_one_line_each(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "USER_RUNNING": "many", "DEVICES": "tpu"}
    run = subprocess.run(
        [sys.executable, "-m", "bot"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 2
    assert "USER_RUNNING=many" in run.stderr and "DEVICES=tpu" in run.stderr and "Traceback" not in run.stderr
