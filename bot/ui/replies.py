"""What the bot answers: sentences that only the asker sees, whatever state the interaction is in; a message
before it is sent, made smaller where Discord refuses it as too large; and choices while somebody types.
"""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from inspect import Parameter, signature
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import discord
from discord import app_commands

from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import acknowledge
from bot.ui import messages
from bot.ui.messages import MAX_CONTENT, cut_text, fit_message, length, pages
from bot.ui.modals import Submission
from core.errors import NotAllowedError, UserError
from core.job import Job
from core.language import N_, _, retold
from studio.texts import job_name, plain, visible

log = logging.getLogger(__name__)
_TYPED = ("prompt", "question")  # fields with words that would have to be typed again
SILENT = discord.AllowedMentions.none()
UNEXPECTED = N_("Something went wrong; the log has the details. Nothing was queued. Try again in a moment.")
UNEXPECTED_BESIDE = N_("Something went wrong; the log has the details. What you asked for continues.")
MOST_PARTS = 20  # files of an answer
_JOB = "belongs to a job"  # in an interaction's extras
C = TypeVar("C", bound=Callable[..., Coroutine[Any, Any, None]])


async def whisper(interaction: discord.Interaction, text: str) -> None:
    """Say ``text`` ephemerally instead of the answer: a "thinking …" that stands there is taken away, but for
    a job's message, beside which it is said. Never raises for Discord."""
    text = fit_message(visible(retold(text)))
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(text, ephemeral=True, allowed_mentions=SILENT)
            return
        deferred = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
        pending = deferred and not interaction.extras.get(_(_JOB))
        if pending:  # the first follow-up after a bare defer would become that public answer itself
            await interaction.edit_original_response(content="…", allowed_mentions=SILENT)
        await interaction.followup.send(text, ephemeral=True, allowed_mentions=SILENT)
        if pending:
            await interaction.delete_original_response()
    except FAILURES as error:
        log.warning("interaction %s: couldn't answer (%s)", interaction.id, type(error).__name__)


def belongs_to_job(interaction: discord.Interaction) -> None:
    """Note that the interaction's answer is a job's message from now on: nothing else may take it away."""
    interaction.extras[_JOB] = True


async def tell_unexpected(interaction: discord.Interaction) -> None:
    """Say that something went wrong, and whether anything was queued. Never raises for Discord."""
    await whisper(interaction, _(UNEXPECTED_BESIDE) if interaction.extras.get(_(_JOB)) else _(UNEXPECTED))


async def reply_to(message: discord.Message, text: str, **more: Any) -> discord.Message | None:
    """Answer a message, below it if it is still there. Return None where Discord takes no answer; never
    raises for Discord. more: of ``discord.abc.Messageable.send``."""
    reference = message.to_reference(fail_if_not_exists=False)
    try:
        return await message.channel.send(
            fit_message(text), reference=reference, allowed_mentions=SILENT, **more
        )
    except FAILURES as error:
        log.info("message %s couldn't be answered (%s)", message.id, type(error).__name__)
        return None


async def refuse(interaction: discord.Interaction, error: UserError) -> None:
    """Say why not, and give the prompt back to be copied: Discord keeps nothing of a command or window that
    was sent."""
    sent = Submission.of(interaction)
    given = [sent.text(name) if sent else getattr(interaction.namespace, name, None) for name in _TYPED]
    typed = "" if isinstance(error, NotAllowedError) else str(next(filter(None, given), ""))
    typed, why = typed.replace("```", "'''"), retold(str(error))
    text = f"{why}\n```\n{typed}\n```"
    await whisper(interaction, text if typed and length(text) <= MAX_CONTENT else why)


async def add_whisper(interaction: discord.Interaction, text: str) -> None:
    """Say ``text`` ephemerally beside an answer that is shown already."""
    try:
        await interaction.followup.send(
            fit_message(visible(retold(text))), ephemeral=True, allowed_mentions=SILENT
        )
    except FAILURES as error:
        log.warning("interaction %s: couldn't add a word (%s)", interaction.id, type(error).__name__)


async def whisper_all(interaction: discord.Interaction, lines: Sequence[str], between: str = "\n") -> None:
    """Say all ``lines`` ephemerally, in as many messages as they need. between: what stands between two."""
    first, *others = pages(lines, between=between)
    await whisper(interaction, first)
    for page in others:
        await add_whisper(interaction, page)


async def answer_with_files(
    interaction: discord.Interaction, parts: AsyncIterator[bytes], stem: str, text: str, rest: str
) -> None:
    """Answer a deferred interaction with ``text`` and ZIP files, one to a message, named ``stem``-1.zip and
    so on. rest: what is said after MOST_PARTS of them, of the others."""
    count = 0
    async for part in parts:
        count += 1
        if count > MOST_PARTS:
            await add_whisper(
                interaction,
                _("There are more than {most_parts} files{rest}", most_parts=MOST_PARTS, rest=rest),
            )
            return
        file = discord.File(io.BytesIO(part), f"{stem}-{count}.zip")
        if count == 1:
            await interaction.edit_original_response(
                content=text, attachments=[file], allowed_mentions=SILENT
            )
        else:
            await interaction.followup.send(file=file, ephemeral=True, allowed_mentions=SILENT)


def answers_privately(command: C) -> C:
    """Decorate the method of a cog that does a command: acknowledge it at once, for the asker alone."""

    @wraps(command)
    async def acknowledged(cog: Any, interaction: discord.Interaction, *args: Any, **kwargs: Any) -> None:
        if await acknowledge(interaction, ephemeral=True):
            await command(cog, interaction, *args, **kwargs)

    # discord.py reads the parameters' types as names of the wrapper's own module, which is this one
    acknowledged.__signature__ = signature(command, eval_str=True)  # type: ignore[attr-defined]
    return acknowledged  # type: ignore[return-value]


def takes_images(count: int, *said: str, first: str = "image1") -> Callable[[C], C]:
    """Decorate a command's method: Discord offers ``first``, ``image2`` and so on, ``count`` in all, in the
    place of its parameter ``images``, a list of those that were given. said: what it says of the first."""
    names = [first, *(f"image{number}" for number in range(2, count + 1))]

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
        texts = [*said, *[_("Another picture")] * (count - len(said))]
        return app_commands.describe(**dict(zip(names, texts, strict=True)))(gathered)  # type: ignore[return-value]

    return decorate


TOO_LARGE = 413  # HTTP status
# Bytes of the files of a message that is tried next: what Discord takes anywhere, then less
SMALLER = (10 * 2**20, 2 * 2**20, 2**19)
T = TypeVar("T")
MAX_ALT = 1024  # characters, https://discord.com/developers/docs/resources/message#attachment-object


class Picture(NamedTuple):
    """A file of a message. ``alt``: its alternative text."""

    data: bytes
    name: str
    alt_text: str


def alt_text(job: Job) -> str:
    """Return what a picture of a job is about, for those who don't see it."""
    words: str = getattr(job.request, "prompt", "") if job.worded else ""
    return plain(words or job_name(job.request))


@dataclass(frozen=True)
class Post:
    """What a message is to show. ``view``: its buttons, None = none. more: files besides the picture."""

    content: str
    picture: Picture | None = None
    view: discord.ui.View | None = None
    more: tuple[Picture, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(len(one.data) for one in (*((self.picture,) if self.picture else ()), *self.more))

    def without_files(self) -> Post:
        """Return the same without its files, which says so."""
        content = messages.fit_message(f"{self.content}\n-# {messages.NO_FILES}")
        return replace(self, content=content, picture=None, more=())

    def files(self) -> list[discord.File]:
        """Return picture and files as discord.py takes them; each can be sent only once."""
        shown = (*((self.picture,) if self.picture else ()), *self.more)
        return [
            discord.File(io.BytesIO(data), name, description=messages.cut_text(alt_text, MAX_ALT) or None)
            for data, name, alt_text in shown
        ]

    async def answer(self, interaction: discord.Interaction) -> discord.InteractionMessage:
        """Show this post in the answer of a deferred ``interaction``."""
        return await interaction.edit_original_response(
            content=self.content, attachments=self.files(), view=self.view, allowed_mentions=SILENT
        )

    async def send_beside(self, interaction: discord.Interaction) -> None:
        """Show this post to the asker alone, beside an answer that is shown already. Never raises for
        Discord."""
        optional: dict[str, Any] = {} if self.view is None else {"view": self.view}
        try:
            await interaction.followup.send(
                self.content, files=self.files(), ephemeral=True, allowed_mentions=SILENT, **optional
            )
        except FAILURES as error:
            log.warning("interaction %s: couldn't add a word (%s)", interaction.id, type(error).__name__)

    async def send_to(self, channel: discord.abc.Messageable, nonce: str | None = None) -> discord.Message:
        """Send this post to ``channel``; the same ``nonce`` within minutes makes no second message."""
        optional = {"nonce": nonce, "view": self.view}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        return await channel.send(self.content, files=self.files(), allowed_mentions=SILENT, **given)


async def send_fitting(
    make: Callable[[int], Awaitable[Post]], send: Callable[[Post], Awaitable[T]], limit: int
) -> T:
    """Send what ``make`` makes of files of at most ``limit`` bytes, and return what ``send`` returns. Where
    Discord refuses that as too large, smaller ones are tried, and at last none. Raises what either raises,
    also for a message without files that is too large."""
    post = await make(limit)
    while True:
        try:
            return await send(post)
        except discord.HTTPException as error:
            if error.status != TOO_LARGE or not post.size:
                raise
        limit = next((size for size in SMALLER if size < min(limit, post.size)), 0)
        post = await make(limit) if limit else post.without_files()


# https://discord.com/developers/docs/interactions/application-commands#application-command-object
MOST, LONGEST = 25, 100  # choices; characters of each


def choices(offered: Iterable[tuple[str, str]]) -> list[app_commands.Choice[str]]:
    """Return the first (name, value) that Discord takes: it would refuse all for one. Names are cut; what has
    a longer value is left out."""
    fits = ((name, value) for name, value in offered if length(value) <= LONGEST)
    return [
        app_commands.Choice(name=cut_text(name, LONGEST), value=value) for name, value in islice(fits, MOST)
    ]
