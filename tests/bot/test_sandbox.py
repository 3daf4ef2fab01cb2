"""The two ways a newcomer starts it, as processes of their own."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import discord
import simcord

from bot.sandbox import Page, furnish
from core.settings import ROOT


def _start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "OPEN_BROWSER": "off", "DISCORD_TOKEN": "", "DISK_FLOOR_MB": "0", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "bot", *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _address(process: subprocess.Popen[str]) -> str:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "sandbox: http://127.0.0.1:" in line:
            return line.split("sandbox: ")[1].strip()
    raise AssertionError("no address:\n" + "".join(lines))


def test_without_a_token_the_sandbox_serves_a_page_and_stops_cleanly(tmp_path: Path) -> None:
    with _start(tmp_path) as process:
        try:
            with urllib.request.urlopen(_address(process), timeout=20) as page:
                assert page.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
    assert (tmp_path / "atelier.db").is_file() and (tmp_path / "logs" / "atelier.log").is_file()


def test_each_run_has_the_same_people_and_new_ids() -> None:
    """Rows of an earlier run are known by the ids of its people, interactions and messages."""
    runs = []
    for page in (Page(), Page(), Page(dm=True)):
        env = simcord.Env(discord.Client(intents=discord.Intents.none()))
        channel, viewers = furnish(env, page)
        runs.append((channel.id, [viewer.id for viewer in viewers], env.backend.snowflake()))
        time.sleep(0.002)  # ids count milliseconds
    first, second, dm = runs
    assert first[:2] == second[:2] and dm[1] == first[1][:1] and dm[0] != first[0]
    assert len({run[2] for run in runs}) == 3


def test_a_picture_for_the_dm_page_that_is_missing_is_named(tmp_path: Path) -> None:
    with _start(tmp_path, "sandbox", "--dm", "nowhere.png") as process:
        assert "nowhere.png" in process.stdout.read()
    assert process.returncode == 2


def test_wrong_settings_end_the_start_with_one_line_each(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "USER_RUNNING": "many", "DEVICES": "tpu"}
    run = subprocess.run([sys.executable, "-m", "bot"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 2
    assert "USER_RUNNING=many" in run.stderr and "DEVICES=tpu" in run.stderr and "Traceback" not in run.stderr
