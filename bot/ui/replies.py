"""Sentences that only the asker sees, whatever state the interaction is in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.ui.messages import MAX_CONTENT, fit, length, pages
from bot.ui.windows import Submission
from bot.wire.interactions import acknowledge
from bot.wire.transport import FAILURES
from core.errors import NotAllowedError, UserError
from studio.asking.words import visible

log = logging.getLogger(__name__)
_TYPED = ("prompt", "question")  # fields with words that would have to be typed again
SILENT = discord.AllowedMentions.none()
UNEXPECTED = (
    "Something went wrong on this side, and it is in the log. Nothing was queued; try again in a moment."
)
UNEXPECTED_BESIDE = "Something went wrong on this side, and it is in the log. What you asked for goes on."
_JOB = "belongs to a job"  # in an interaction's extras
C = TypeVar("C", bound=Callable[..., Coroutine[Any, Any, None]])


async def whisper(interaction: discord.Interaction, text: str) -> None:
    """Say ``text`` ephemerally instead of the answer: a "thinking …" that stands there is taken away, but for
    a job's message, beside which it is said. Never raises for Discord."""
    text = fit(visible(text))
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(text, ephemeral=True, allowed_mentions=SILENT)
            return
        deferred = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
        pending = deferred and not interaction.extras.get(_JOB)
        if pending:  # the first follow-up after a bare defer would become that public answer itself
            await interaction.edit_original_response(content="…", allowed_mentions=SILENT)
        await interaction.followup.send(text, ephemeral=True, allowed_mentions=SILENT)
        if pending:
            await interaction.delete_original_response()
    except (discord.HTTPException, *FAILURES) as error:
        log.warning("interaction %s: couldn't answer (%s)", interaction.id, type(error).__name__)


def belongs_to_job(interaction: discord.Interaction) -> None:
    """Note that the interaction's answer is a job's message from now on: nothing else may take it away."""
    interaction.extras[_JOB] = True


async def tell_unexpected(interaction: discord.Interaction) -> None:
    """Say that something went wrong, and whether anything was queued. Never raises for Discord."""
    await whisper(interaction, UNEXPECTED_BESIDE if interaction.extras.get(_JOB) else UNEXPECTED)


async def reply_to(message: discord.Message, text: str, **more: Any) -> discord.Message | None:
    """Answer a message, below it if it is still there. Return None where Discord takes no answer; never
    raises for Discord. more: of ``discord.abc.Messageable.send``."""
    reference = message.to_reference(fail_if_not_exists=False)
    try:
        return await message.channel.send(fit(text), reference=reference, allowed_mentions=SILENT, **more)
    except (discord.HTTPException, *FAILURES) as error:
        log.info("message %s couldn't be answered (%s)", message.id, type(error).__name__)
        return None


async def refuse(interaction: discord.Interaction, error: UserError) -> None:
    """Say why not, and give the prompt back to be copied: Discord keeps nothing of a command or window that
    was sent."""
    typed = "" if isinstance(error, NotAllowedError) else _typed_prompt(interaction).replace("```", "'''")
    text = f"{error}\n```\n{typed}\n```"
    await whisper(interaction, text if typed and length(text) <= MAX_CONTENT else str(error))


def _typed_prompt(interaction: discord.Interaction) -> str:
    submission = Submission.of(interaction)
    return (
        next(filter(None, map(submission.text, _TYPED)), "")
        if submission
        else next((str(text) for name in _TYPED if (text := getattr(interaction.namespace, name, None))), "")
    )


async def add_whisper(interaction: discord.Interaction, text: str) -> None:
    """Say ``text`` ephemerally beside an answer that is shown already."""
    try:
        await interaction.followup.send(fit(visible(text)), ephemeral=True, allowed_mentions=SILENT)
    except (discord.HTTPException, *FAILURES) as error:
        log.warning("interaction %s: couldn't add a word (%s)", interaction.id, type(error).__name__)


async def whisper_all(interaction: discord.Interaction, lines: Sequence[str], between: str = "\n") -> None:
    """Say all ``lines`` ephemerally, in as many messages as they need. between: what stands between two."""
    first, *others = pages(lines, between=between)
    await whisper(interaction, first)
    for page in others:
        await add_whisper(interaction, page)


def answers_privately(command: C) -> C:
    """Decorate the method of a cog that does a command: acknowledge it at once, for the asker alone."""

    @wraps(command)
    async def acknowledged(cog: Any, interaction: discord.Interaction, *args: Any, **kwargs: Any) -> None:
        if await acknowledge(interaction, ephemeral=True):
            await command(cog, interaction, *args, **kwargs)

    # discord.py reads the parameters' types as names of the wrapper's own module, which is this one
    acknowledged.__signature__ = signature(command, eval_str=True)  # type: ignore[attr-defined]
    return acknowledged  # type: ignore[return-value]


def takes_images(count: int, *said: str) -> Callable[[C], C]:
    """Decorate a command's method: Discord offers ``image1`` and so on, ``count`` in all, in place of its
    parameter ``images``, a list of those that were given. said: what Discord says of the first ones."""
    names = [f"image{number}" for number in range(1, count + 1)]

    def decorate(command: C) -> C:
        @wraps(command)
        async def gathered(cog: Any, interaction: discord.Interaction, **given: Any) -> None:
            found = [given.pop(name, None) for name in names]
            await command(cog, interaction, images=[one for one in found if one is not None], **given)

        plain = signature(command, eval_str=True)
        offered = list[Parameter]()
        for one in plain.parameters.values():
            if one.name == "images":
                some = discord.Attachment | None
                offered += [Parameter(name, one.kind, default=None, annotation=some) for name in names]
            else:
                offered.append(one)
        gathered.__signature__ = plain.replace(parameters=offered)  # type: ignore[attr-defined]
        texts = [*said, *["Another picture"] * (count - len(said))]
        return app_commands.describe(**dict(zip(names, texts, strict=True)))(gathered)  # type: ignore[return-value]

    return decorate
