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
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import acknowledge, is_away
from bot.ui import messages
from bot.ui.buttons import Rows, view_of
from bot.ui.layout import MAX_ALT, MOST_CHARACTERS, Picture, layout, parts_of
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
# Messages beside an answer where the bot isn't a member; Discord refuses more (40094)
FOLLOW_UPS = 5
_JOB, _BESIDE = N_("belongs to a job"), N_("messages beside its answer")  # in an interaction's extras
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
        await follow_up(interaction, text, ephemeral=True)
        if pending:
            await interaction.delete_original_response()
    except FAILURES as error:
        log.warning("interaction %s: couldn't answer (%s)", interaction.id, type(error).__name__)


def belongs_to_job(interaction: discord.Interaction) -> None:
    """Note that the interaction's answer is a job's message from now on: nothing else may take it away."""
    interaction.extras[_JOB] = True


async def follow_up(
    interaction: discord.Interaction, text: str, **more: Any
) -> discord.WebhookMessage | None:
    """Send one more message beside the answer of an interaction, and return it if ``more`` says ``wait``;
    None also where Discord takes no more of them. more: of ``discord.Webhook.send``. Raises one of
    FAILURES."""
    count = interaction.extras.get(_BESIDE, 0)
    if is_away(interaction) and count >= FOLLOW_UPS:
        log.warning("interaction %s has %d messages beside its answer already", interaction.id, count)
        return None
    interaction.extras[_BESIDE] = count + 1
    optional: dict[str, Any] = {"content": text} if text else {}
    return await interaction.followup.send(allowed_mentions=SILENT, **optional, **more)


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
        await follow_up(interaction, fit_message(visible(text)), ephemeral=True)
    except FAILURES as error:
        log.warning("interaction %s: couldn't add a word (%s)", interaction.id, type(error).__name__)


async def add_whispers(interaction: discord.Interaction, texts: Sequence[str]) -> None:
    """Say ``texts`` ephemerally beside an answer; where Discord takes few messages, the last ones in a file.
    One more is left to be said after them."""
    few = FOLLOW_UPS - 1 - interaction.extras.get(_BESIDE, 0)
    whole = texts if not is_away(interaction) or len(texts) <= few else texts[: few - 1]
    for text in whole:
        await add_whisper(interaction, text)
    if len(whole) < len(texts):
        rest = "\n".join(texts[len(whole) :]).encode()
        file = Picture(rest, "more.txt", _("The rest of the answer"))
        await Post(_("The rest is in this file."), files=(file,)).send_beside(interaction)


async def whisper_all(interaction: discord.Interaction, lines: Sequence[str], between: str = "\n") -> None:
    """Say all ``lines`` ephemerally, in as many messages as they need. between: what stands between two."""
    first, *others = pages(lines, between=between)
    await whisper(interaction, first)
    await add_whispers(interaction, others)


async def answer_with_files(
    interaction: discord.Interaction, parts: AsyncIterator[bytes], stem: str, text: str, rest: str
) -> None:
    """Answer a deferred interaction with ``text`` and ZIP files, one to a message, named ``stem``-1.zip and
    so on. rest: what is said after MOST_PARTS of them, where there are more."""
    count, most = 0, FOLLOW_UPS if is_away(interaction) else MOST_PARTS
    async for part in parts:
        count += 1
        if count > most:
            await add_whisper(interaction, rest)
            return
        file = discord.File(io.BytesIO(part), f"{stem}-{count}.zip")
        if count == 1:
            await interaction.edit_original_response(
                content=text, attachments=[file], allowed_mentions=SILENT
            )
        else:
            await follow_up(interaction, "", file=file, ephemeral=True)


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
    """Decorate a command's method: Discord offers ``image``, ``image2`` and so on, ``count`` in all, in the
    place of its parameter ``images``, a list of those that were given. said: what it says of the first."""
    names = ["image", *(f"image{number}" for number in range(2, count + 1))]

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
INVALID_FORM = 50035  # Discord's code
# Bytes of the files of a message that is tried next: what Discord takes anywhere, then less
SMALLER = (10 * 2**20, 2 * 2**20, 2**19)
T = TypeVar("T")


def alt_text(job: Job) -> str:
    """Return what a picture of a job is about, for those who don't see it."""
    words: str = getattr(job.request, "prompt", "") if job.worded else ""
    return plain(words or job_name(job.request))


class Upload(discord.File):
    """A file that says its name where its bytes are, and not once more among the message's attachments."""

    def to_dict(self, index: int) -> dict[str, Any]:
        """Return what Discord is told of the file beside its bytes."""
        return {name: value for name, value in super().to_dict(index).items() if name != "filename"}


@dataclass(frozen=True)
class Post:
    """What a message is to show: ``text``, whose last lines of small print stand below everything, pictures
    and videos, buttons and menus by ``rows``, and files to be downloaded. accent: the colour of its bar."""

    text: str
    media: tuple[Picture, ...] = ()
    rows: Rows = ()
    files: tuple[Picture, ...] = ()
    accent: int | None = None

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(len(one.data) for one in (*self.media, *self.files))

    def differs(self, other: Post | None) -> bool:
        """Return whether its message looks other than with ``other``, None = with nothing."""
        return other is None or (self.text, self.media) != (other.text, other.media)

    def without_files(self) -> Post:
        """Return the same without its files, which says so."""
        text = messages.fit_message(f"{self.text}\n-# {messages.NO_FILES}", MOST_CHARACTERS)
        return replace(self, text=text, media=(), files=())

    async def deliver(
        self, send: Callable[[discord.ui.LayoutView, Sequence[discord.File]], Awaitable[T]]
    ) -> T:
        """Return what ``send`` returns, which sends the layout with its files. A layout that Discord refuses
        is sent once more without its buttons: a message without them is better than none."""
        post = self
        while True:
            view = layout(post.text, post.media, post.rows, post.files, post.accent)
            files = [Upload(io.BytesIO(one.data), one.file_name) for one in post.media]  # told by items
            files += [
                Upload(io.BytesIO(one.data), one.file_name, description=cut_text(one.alt_text, MAX_ALT))
                for one in post.files
            ]
            try:
                return await send(view, files)
            except discord.HTTPException as error:
                if error.code != INVALID_FORM or not post.rows:
                    raise
                log.error("a layout was refused, and is sent without its buttons: %s", error.text)
            post = replace(post, rows=(), accent=None)

    async def answer(self, interaction: discord.Interaction) -> discord.InteractionMessage:
        """Show this post in the answer of a deferred ``interaction``."""
        return await self.deliver(
            lambda view, files: interaction.edit_original_response(
                content=None, embeds=[], attachments=files, view=view, allowed_mentions=SILENT
            )
        )

    async def send_beside(self, interaction: discord.Interaction) -> None:
        """Show this post to the asker alone, beside an answer that is shown already. Never raises for
        Discord."""
        try:
            await self.deliver(
                lambda view, files: follow_up(interaction, "", files=files, view=view, ephemeral=True)
            )
        except FAILURES as error:
            log.warning("interaction %s: couldn't add a word (%s)", interaction.id, type(error).__name__)

    async def put_in(self, message: discord.Message | discord.PartialMessage) -> discord.Message:
        """Show this post in a message that the bot sent by itself, whatever it was before."""
        return await self.deliver(
            lambda view, files: message.edit(
                content=None, embeds=[], attachments=files, view=view, allowed_mentions=SILENT
            )
        )

    def plain_view(self) -> discord.ui.View:
        """Return its buttons and menus for a plain message."""
        return view_of(*(item for row in self.rows for item in row))

    def notice(self, job: Job) -> str:
        """Return the words that announce this post of ``job`` where nobody waits for it: a phone shows them
        at once, but no words of a message that is laid out."""
        words = cut_text(parts_of(self.text)[0], 1500)
        return _(
            "{words}\n-# `/show job:{id}` brings it here, if it doesn't come by itself",
            words=words,
            id=job.id,
        )


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
