"""Our way to speak to Discord's client against the official one: both say the same, and hear the same."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.web.browser.conftest import STATIC, served
from tests.web.fake_discord import open_discord
from tests.web.test_discord_page import CLIENT

pytestmark = pytest.mark.asyncio(loop_scope="session")
OFFICIAL_PORT = 3333  # of localhost, the one address beside Discord's that the official SDK listens to
PACKAGES = ("@discord/embedded-app-sdk@2.5.0", "esbuild@0.28.2")
OWN = """import { DiscordClient } from "/static/js/core/discord.js";
const discord = new DiscordClient(CLIENT, ["http://localhost:3333"]);
const ready = () => discord.ready;
const authorize = (args) => discord.ask("AUTHORIZE", args);
const open = (args) => discord.ask("OPEN_EXTERNAL_LINK", args);
"""
OFFICIAL = """import { DiscordSDK } from "/sdk.mjs";
const discord = new DiscordSDK(CLIENT, { disableConsoleLogOverride: true });
const ready = () => discord.ready();
const { authorize, openExternalLink: open } = discord.commands;
"""
TALK = """
const asked = { client_id: CLIENT, response_type: "code", scope: ["identify"], prompt: "none", state: "s",
  code_challenge: "c", code_challenge_method: "S256" };
const told = (work) => work.then((data) => Object.keys(data), ({ message }) => message);
await ready();
window.heard = [await told(authorize(asked)), await told(open({ url: "https://example.org/" })),
  await told(authorize({ ...asked, client_id: "another" }))];
"""


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> bytes:
    """The official SDK in one file."""
    folder: Path = tmp_path_factory.mktemp("sdk")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Node is missing, so there is no official SDK")
    given = (npm, "install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".")
    if subprocess.run([*given, *PACKAGES], cwd=folder, capture_output=True).returncode:
        pytest.skip(f"npm has no {' and '.join(PACKAGES)} here (npm install them once, elsewhere)")
    (folder / "entry.js").write_text('export { DiscordSDK } from "@discord/embedded-app-sdk";')
    bundled = ("node_modules/.bin/esbuild", "entry.js", "--bundle", "--format=esm", "--outfile=sdk.mjs")
    subprocess.run(bundled, cwd=folder, capture_output=True, check=True)
    return (folder / "sdk.mjs").read_bytes()


def _plain(said: list[Any]) -> list[Any]:
    """What was said, without what is new each time, and without what is undefined."""
    new = ("nonce", "frame_id")
    return [
        (opcode, {name: name in new or value for name, value in data.items() if value is not None})
        for opcode, data in said
    ]


async def _transcript(browser, script: str, official: bytes) -> tuple[list[Any], list[Any]]:
    """What a client says to Discord, and what it hears."""

    async def page(request: web.Request) -> web.Response:
        text = f'<!doctype html><link rel="icon" href="data:,"><script type="module">{script}{TALK}</script>'
        return web.Response(text=text.replace("CLIENT", f'"{CLIENT}"'), content_type="text/html")

    async def sdk(request: web.Request) -> web.Response:
        return web.Response(body=official, content_type="text/javascript")

    routes = (web.get("/", page), web.get("/sdk.mjs", sdk), web.static("/static", STATIC))
    async with open_discord(OFFICIAL_PORT) as discord, served(*routes) as discord.frame:
        shown = await browser.new_page()
        await shown.goto(discord.page)
        frame = shown.frames[1]
        await frame.wait_for_function("() => window.heard")
        found = _plain(await shown.evaluate("() => said")), await frame.evaluate("() => heard")
        await shown.close()
    return found


async def test_our_client_says_and_hears_what_the_official_one_does(browser, official: bytes) -> None:
    said, heard = await _transcript(browser, OWN, official)
    assert [data.get("cmd") for _, data in said] == [None, "AUTHORIZE", "OPEN_EXTERNAL_LINK", "AUTHORIZE"]
    assert heard == [["code"], ["opened"], "You said no"]
    assert (said, heard) == await _transcript(browser, OFFICIAL, official)
