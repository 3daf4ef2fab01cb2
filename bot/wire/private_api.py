"""Everything that Atelier uses of the private parts of discord.py and simcord, in one place, each with its
reason.

A new version may change these without notice; ``tests/wire/test_private_api.py`` then says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import aiohttp
import discord
import discord.client
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, handle_message_parameters
from discord.webhook.async_ import async_context

PreviewAction = Callable[[str | None, Mapping[str, Any]], Awaitable[dict[str, Any]]]


async def edit_interaction_message(
    http: HTTPClient, application_id: int, token: str, message_id: int | None, **message: Any
) -> Mapping[str, Any]:
    """Edit the answer of an interaction, or its follow-up ``message_id``, and return Discord's message.

    discord.py edits answers by a live ``Interaction`` only, which doesn't survive a restart; a ``Webhook``
    can be made from stored ids, but it has no way to the original answer. ``message``: of
    ``discord.http.handle_message_parameters``.
    """
    adapter = async_context.get()
    edit = adapter.edit_original_interaction_response
    if message_id is not None:
        edit = partial(adapter.edit_webhook_message, message_id=message_id)
    with handle_message_parameters(**message) as parameters:
        return await edit(
            application_id,
            token,
            session=session_of(http),
            proxy=http.proxy,
            proxy_auth=http.proxy_auth,
            payload=parameters.payload,
            multipart=parameters.multipart,
            files=parameters.files,
        )


def session_of(http: HTTPClient) -> aiohttp.ClientSession:
    """Return discord.py's own session: it stops requests to other hosts, and a second one would hold further
    connections."""
    return http._HTTPClient__session  # type: ignore[attr-defined]


def context_menus(tree: app_commands.CommandTree[Any]) -> dict[Any, app_commands.ContextMenu]:
    """Return the tree's own table (name, server or None, type) → menu.

    ``add_command`` refuses more than five message menus; Discord takes 15.
    """
    return tree._context_menus


def attachment(interaction: discord.Interaction, data: Mapping[str, Any]) -> discord.Attachment:
    """Make the attachment that ``data`` of a submitted window describes; discord.py gives it only to the
    window that was opened, which doesn't survive a restart."""
    return discord.Attachment(data=data, state=interaction._state)  # type: ignore[arg-type]


def mark_deferred(interaction: discord.Interaction) -> None:
    """Let discord.py know that an interaction shows "thinking …" although the defer's answer was lost or went
    to an earlier process; what is said next would else be refused as a second first answer."""
    interaction.response._response_type = discord.InteractionResponseType.deferred_channel_message


class SessionKeeper(Protocol):
    """Keeps a gateway session beyond one process."""

    def offer(self) -> dict[str, Any]:
        """Return what is known of a session to resume: arguments of ``DiscordWebSocket.from_client``."""

    def receive(
        self, sequence: int, name: str, payload: dict[str, Any], parse: Callable[[dict[str, Any]], None]
    ) -> None:
        """Hand an event on to ``parse``, or not."""


class KeptWebSocket(DiscordWebSocket):
    """A gateway connection whose session outlives the process.

    discord.py begins every process with an identify and closes with 1000, which ends the session; it offers
    no way to change either, or to see an event with its number.
    """

    @classmethod
    async def from_client(
        cls, client: discord.Client, *, initial: bool = False, **options: Any
    ) -> KeptWebSocket:
        """Connect; the first time, resume what the client's keeper has to offer."""
        keeper: SessionKeeper | None = getattr(client, "kept_session", None)
        if keeper is not None and initial:
            options |= keeper.offer()
        made = await super().from_client(client, initial=initial, **options)
        if keeper is not None:
            parsers = made._discord_parsers
            made._discord_parsers = {
                name: partial(made._receive, keeper, name, parse) for name, parse in parsers.items()
            }
        return made

    def _receive(
        self, keeper: SessionKeeper, name: str, parse: Callable[[Any], None], payload: dict[str, Any]
    ) -> None:
        keeper.receive(self.sequence or 0, name, payload, parse)

    async def close(self, code: int = 4000) -> None:
        """Close, but never with 1000: the session shall go on without us."""
        await super().close(4000 if code == 1000 else code)


def connect_by(websocket: type[DiscordWebSocket]) -> None:
    """Let discord.py make its gateway connections by ``websocket``."""
    discord.client.DiscordWebSocket = websocket  # type: ignore[misc]


async def fill_caches(client: discord.Client, events: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Let ``client`` take in the events that a session began with, as if they came now.

    After READY discord.py waits 2 s for the last server; here it comes at once.
    """
    state = client._connection
    patience, state.guild_ready_timeout = state.guild_ready_timeout, 0.2
    for name, payload in events:
        state.parsers[name](payload)
        await asyncio.sleep(0)
    if state._ready_task is not None:
        state._ready_task.add_done_callback(lambda _: setattr(state, "guild_ready_timeout", patience))


async def cancel_ready(client: discord.Client) -> None:
    """Stop waiting for the last server before ``client`` is ready: one that is closed meanwhile would fail
    with a traceback in the log. A cancel that meets a server just coming is lost, so there may be several."""
    while (waiting := client._connection._ready_task) is not None:
        waiting.cancel()
        await asyncio.sleep(0)


def wrap_preview_action(
    preview: Any,
    wrapper: Callable[[PreviewAction, str | None, Mapping[str, Any]], Awaitable[dict[str, Any]]],
) -> None:
    """Run each action on a page of simcord's through ``wrapper`` (action, context id, body): simcord offers
    no lock against redrawing the page during one."""
    preview._action = partial(wrapper, preview._action)


def dress_preview(preview: Any, texts: Mapping[str, str], added: Mapping[str, str]) -> None:
    """Change simcord's page before it is served: replace ``texts`` in its HTML, and append to its files by
    path what is in ``added``. simcord offers neither a title nor a stylesheet of one's own."""
    server = preview._server
    serve = server._static

    async def dressed(request: Any) -> Any:
        response = await serve(request)
        if request.path == "/":
            for old, new in texts.items():
                response.text = response.text.replace(old, new)
        if request.path in added:
            response.text += added[request.path]
        return response

    server._static = dressed


def show_newest(messages: int) -> None:
    """Let simcord's page show so many messages at once instead of fifty: after each edit it takes stock of
    all that it shows, and has no setting for how many."""
    from simcord.preview import _action_plans, _snapshot  # here: not everybody has the simulator

    for module in (_action_plans, _snapshot):
        module.HISTORY_WINDOW_SIZE = messages  # type: ignore[attr-defined]
    _action_plans.HISTORY_STEP = messages // 2


def preview_revision(preview: Any, context_id: str | None) -> int:
    """Return the number of the page that simcord shows now; it refuses an action on any other."""
    return preview._get_page(context_id).revision
