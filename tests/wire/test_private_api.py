"""The private parts of libraries that ``bot.discord_api.private_api`` uses are all still there."""

import ast
import inspect
from importlib.metadata import version
from operator import attrgetter
from types import SimpleNamespace

import discord
import pytest
from discord import app_commands
from discord.http import MultipartParameters, handle_message_parameters
from discord.webhook import async_
from simcord.preview import Preview, _action_plans, _snapshot
from simcord.preview._server import PreviewServer

from bot.discord_api import private_api
from core.settings import ROOT


def _client() -> discord.AutoShardedClient:
    return discord.AutoShardedClient(intents=discord.Intents.none())


PARTS = {
    "HTTPClient._HTTPClient__session": lambda: hasattr(_client().http, "_HTTPClient__session"),
    "HTTPClient.proxy and .proxy_auth": lambda: {"proxy", "proxy_auth"} <= set(vars(_client().http)),
    "CommandTree._context_menus": lambda: (
        attrgetter("_context_menus")(app_commands.CommandTree(_client())) == {}
    ),
    "Interaction._state": lambda: "_state" in discord.Interaction.__slots__,
    "Attachment(data=, state=)": lambda: (
        {"data", "state"} <= set(inspect.signature(discord.Attachment).parameters)
    ),
    "webhook.async_.async_context": lambda: isinstance(
        async_.async_context.get(), async_.AsyncWebhookAdapter
    ),
    "AsyncWebhookAdapter.edit_original_interaction_response": lambda: (
        _arguments(async_.AsyncWebhookAdapter.edit_original_interaction_response)
        >= {"session", "proxy", "proxy_auth", "payload", "multipart", "files"}
    ),
    "AsyncWebhookAdapter.edit_webhook_message": lambda: (
        _arguments(async_.AsyncWebhookAdapter.edit_webhook_message)
        >= {"message_id", "session", "proxy", "proxy_auth", "payload", "multipart", "files"}
    ),
    "http.handle_message_parameters": lambda: (
        _arguments(handle_message_parameters) >= {"content", "attachments", "view", "allowed_mentions"}
    ),
    "http.MultipartParameters": lambda: (
        {"payload", "multipart", "files"} <= set(MultipartParameters.__annotations__)
    ),
    "Interaction.response._response_type": lambda: "_response_type" in discord.InteractionResponse.__slots__,
    "ConnectionState._ready_task and ._ready_tasks": lambda: (
        attrgetter("_connection._ready_task", "_connection._ready_tasks")(_client()) == (None, {})
    ),
    "simcord: Preview._action": lambda: (
        _arguments(attrgetter("_action")(Preview)) == {"self", "context_id", "body"}
    ),
    "simcord: Preview._server, its ._static": lambda: (
        "self._server = PreviewServer(" in inspect.getsource(Preview.__init__)
        and _arguments(attrgetter("_static")(PreviewServer)) == {"self", "request"}
        and {"/", "/preview.css", "/timeline.js"} <= set(PreviewServer._STATIC_FILES)
    ),
    "simcord: HISTORY_WINDOW_SIZE": lambda: (
        "start = max(0, end - HISTORY_WINDOW_SIZE)" in inspect.getsource(_snapshot._history_window)
        and {"HISTORY_WINDOW_SIZE", "HISTORY_STEP"} <= vars(_action_plans).keys()
    ),
    "simcord: Preview._get_page": lambda: (
        _arguments(attrgetter("_get_page")(Preview)) == {"self", "context_id"}
    ),
}


def _arguments(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize("part", PARTS)
def test_the_library_still_has_this_private_part(part: str) -> None:
    library = "simcord" if part.startswith("simcord") else "discord.py"
    assert PARTS[part](), (
        f"{library} {version(library)} has no {part} any more: see bot/discord_api/private_api.py"
    )


def test_simcords_page_shows_the_newest_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_action_plans, _snapshot):  # to have them again as they were
        monkeypatch.setattr(module, "HISTORY_WINDOW_SIZE", 50)
    monkeypatch.setattr(_action_plans, "HISTORY_STEP", 25)
    private_api.show_newest(3)
    page = SimpleNamespace(layout="channel", target_id=None, window_end_id=None)
    messages = [SimpleNamespace(id=number) for number in range(10)]
    _, shown, history = _snapshot._history_window(page, messages)
    assert shown == messages[-3:] and history["hasBefore"] and _action_plans.HISTORY_WINDOW_SIZE == 3


def test_no_other_module_of_the_bot_uses_private_parts_of_others() -> None:
    """Attributes with a leading underscore are read from ``self`` and ``cls`` only."""
    found = []
    for path in [*(ROOT / "bot").rglob("*.py"), *(ROOT / "host").rglob("*.py")]:
        if path.name in ("private_api.py", "session.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not _own(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}")
    assert found == []


def _own(node: ast.Attribute) -> bool:
    owner = node.value
    return (
        (isinstance(owner, ast.Name) and owner.id in ("self", "cls"))
        or node.attr in ("_replace", "_asdict", "_fields", "_exit")
        or (node.attr.startswith("__") and node.attr.endswith("__"))
    )
