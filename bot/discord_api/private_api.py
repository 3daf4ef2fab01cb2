"""What Atelier uses of the private parts of discord.py and simcord, in one place, each with its reason;
what a session needs that outlives the process is in ``bot.discord_api.session``.

A new version may change these without notice; ``tests/wire/test_private_api.py`` then says which.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import aiohttp
import discord
from discord import app_commands
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


def installed_by(interaction: discord.Interaction) -> Mapping[int, int | str]:
    """Return by whose installations of the app an interaction is allowed: 0 → the server (0 in the bot's own
    direct messages), 1 → a person. discord.py only tells whether the person is the one who asks."""
    return interaction._integration_owners


def mark_deferred(interaction: discord.Interaction) -> None:
    """Let discord.py know that an interaction shows "thinking …" although the defer's answer was lost or went
    to an earlier process; what is said next would else be refused as a second first answer."""
    interaction.response._response_type = discord.InteractionResponseType.deferred_channel_message


async def cancel_ready(client: discord.Client) -> None:
    """Stop waiting for the last server before ``client`` is ready: one that is closed meanwhile would fail
    with a traceback in the log. A cancel that meets a server just coming is lost, so there may be several."""
    state = client._connection
    waiting = [state._ready_task, *getattr(state, "_ready_tasks", {}).values()]
    for task in filter(None, waiting):
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


def wrap_preview_action(
    preview: Any, wrapper: Callable[[PreviewAction, str | None, Mapping[str, Any]], Awaitable[dict[str, Any]]]
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
