"""What tests of this folder change in the process, put back after each of them."""

import discord.gateway
import discord.http
import pytest

import bot.discord_api.http


@pytest.fixture(autouse=True)
def addresses_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """``launch.point_at`` lets the process reach the pretended Discord; later tests must not."""
    for target, name in (
        (bot.discord_api.http, "check_request"),
        (bot.discord_api.http, "check_attachment"),
        (discord.http.Route, "BASE"),
        (discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY"),
    ):
        monkeypatch.setattr(target, name, getattr(target, name))
