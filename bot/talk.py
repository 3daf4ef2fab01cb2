"""Conversations on Discord: messages to the bot and ``/talk`` become turns, each shown in one message from
beginning to end; and what the buttons and menus of those messages do.

What a turn means, and who may do what with it, its row says. A direct message is always heard, a message of a
server where it mentions the bot.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import discord
from discord.utils import time_snowflake

from bot.chat import names_of
from bot.delivery import Delivery
from bot.discord_api.attachments import files_of, is_seen
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of, actor_of_message, file_limit, press_key, reply_beside
from bot.discord_api.interactions import reply_to as reply_in
from bot.posts import Posts
from bot.submit import Answers, Asking
from bot.ui import messages, turns
from bot.ui.buttons import rows_of
from bot.ui.layout import ids_of
from bot.ui.replies import SILENT, Post, answers_privately, belongs_to_job, refuse, reply_to, whisper
from core.errors import NotAllowedError, UserError
from core.job import DEFAULT_FILE_LIMIT, Job, Reply, Surface
from core.language import N_, _, shared_language, speak
from core.requests import AskRequest
from core.talk import KINDS, Kind
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.media.video_decode import may_be_video
from studio.requests.actions import NEWER
from studio.studio import Studio
from studio.talk.dialogues import NEWEST
from studio.talk.history import Turn

STEALTH = N_("Everybody would see that here: use `/talk`, or write to me in a direct message.")
BY_BUTTON = N_(
    "I can't read replies here unless they mention me: press a button, or mention me in the reply."
)
NOT_AWAY = N_(
    "Conversations work in direct messages to Atelier and in servers that have it. Here you can use"
    " `/imagine`, `/edit` and `/ask`."
)
BY_MESSAGE = N_("This is private: the result comes by direct message.")
COMMANDS = N_(
    "Use `/video` to extend, loop or change a video that you send; here I answer questions about it."
)
GONE = N_("Nothing is shown there any more.")
AGAIN = N_("That is on its way already.")
TYPES_AFTER = 0.5  # seconds that a decision may take until it is shown that one is made
ONCE = "message:"
OF_FRAMES: tuple[Kind, ...] = ("change", "upscale", "cutout")  # are done to the first frame of a video
OF_VIDEOS: tuple[Kind, ...] = ("video", "extend", "again")
LOOKED_AT = 200  # messages after the one that a turn answers
CLOCKS = timedelta(minutes=1)  # by which Discord's clock and ours may differ
MOST_OTHERS = 10  # pictures that "another picture" offers
_SAID_BY_BUTTON = "told_ask_more"
T = TypeVar("T")
log = logging.getLogger(__name__)


class Turns:
    """Says to the studio's ``dialogues`` what people write, and shows the turns that come of it."""

    def __init__(
        self,
        studio: Studio,
        asking: Asking,
        answers: Answers,
        delivery: Delivery,
        posts: Posts,
        search: Callable[[Actor, str], Awaitable[Post]],
        *,
        channel: Callable[[int], discord.PartialMessageable],
        possible: bool,
    ) -> None:
        """search: makes the message of a search, for its asker alone. channel: finds one by its id. possible:
        whether people may talk to the studio here."""
        self._studio, self._dialogues = studio, studio.dialogues
        self._asking, self._answers, self._delivery, self._posts = asking, answers, delivery, posts
        self._search, self._channel, self._possible = search, channel, possible
        self._began = datetime.now(UTC)
        self._ending = set[asyncio.Task[None]]()
        self._hearing = set[int]()  # messages that are being answered: the gateway may tell of one twice
        self._pressed = set[str]()  # what a double click would do once more

    # Messages

    async def in_server(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Take a message of a server that mentions the bot as a turn."""
        if not self._possible:
            return
        actor = actor_of_message(message)
        words = re.sub(rf"<@!?{me.id}>", " ", message.content).strip()
        if me not in message.mentions or not words:
            await self._tell_by_button(actor, message)
            return
        await self._hear(actor, message, words)

    async def direct(self, message: discord.Message) -> bool:
        """Take a direct message as a turn; return False for one without words."""
        words = message.content.strip()
        if words and self._possible:
            await self._hear(actor_of_message(message), message, words)
        return bool(words) and self._possible

    async def forget(self, message_ids: Iterable[int]) -> None:
        """Take back the words of messages that were deleted."""
        await self._dialogues.unsaid([_once(message_id) for message_id in message_ids])

    async def _hear(self, actor: Actor, message: discord.Message, words: str) -> None:
        """Show the turn that a message is, or why it is none."""
        if message.id in self._hearing:
            return
        self._hearing.add(message.id)
        there = str(message.guild.preferred_locale) if message.guild else ""
        await self._studio.languages.speak(actor.user_id, actor.guild_id, "", there)
        speak(shared_language())  # what answers a message is seen by everybody there
        try:
            if actor.guild_id is not None and (await self._asking.preferences(actor)).private:
                raise UserError(STEALTH)
            await self._answer_message(actor, message, words)
        except UserError as error:
            await reply_to(message, f"❌ {error}")
        finally:
            self._hearing.discard(message.id)

    async def _answer_message(self, actor: Actor, message: discord.Message, words: str) -> None:
        files = [file for file in files_of(message) if is_seen(file)]
        after, about, asked = await self._place_of(actor, message)
        clips = [file for file in files if may_be_video(file.filename, file.content_type or "")]
        if clips:
            meant = (await self._dialogues.preview(actor, words, after=None, sent=1)).decision
            if meant.kind in OF_VIDEOS:
                raise UserError(COMMANDS)
            if meant.kind not in OF_FRAMES or len(files) > 1:
                await self._ask(actor, message, words, files, asked)
                return
            [clip] = self._asking.links.attached(clips)
            *_before, frame = await self._studio.video_requests.keep(actor, clip)
            about, files = [frame], []
        given: list[Given] = [*about, *self._asking.links.attached(files)]
        if asked is not None:
            meant = (await self._dialogues.preview(actor, words, after=None, sent=len(given))).decision
            if meant.kind in ("ask", "talk", "unclear"):
                await self._ask(actor, message, words, files, asked)
                return
        said = self._dialogues.say(actor, words, after=after, given=given, once=_once(message.id))
        turn = await self._typing_while(message.channel, said)
        await self._show_below(actor, message, turn)

    async def _place_of(
        self, actor: Actor, message: discord.Message
    ) -> tuple[str | None, list[Given], Job | None]:
        """Return which turn a message follows (None: it begins a conversation), the pictures of ours that it
        replies to, and the question that is no turn but goes on by it."""
        shown = message.reference.message_id if message.reference is not None else None
        if shown is None and isinstance(message.channel, discord.Thread):
            question = await self._studio.talking.latest_here(actor)
            if question is not None and turns.turn_of(question) is None:
                return None, [], question
            shown = message.channel.id if await self._dialogues.newest(actor) is None else None
        if shown is None:
            return NEWEST, [], None
        turn = await self._dialogues.of_message(actor, shown)
        if turn is not None:
            return turn.id, [], None
        found = await self._studio.job_of_message(actor, shown, Action.USE)
        if found is None:
            return NEWEST, [], None
        if isinstance(found[0].request, AskRequest):
            return None, list(found[0].request.images), found[0]
        names = await names_of(self._studio, actor, found)
        return None, [found[0].id] if len(names) > 1 else [*names], None  # a grid as a whole

    async def _typing_while(self, channel: discord.abc.Messageable, work: Awaitable[T]) -> T:
        """Await ``work``; one that takes longer is shown as typing."""
        task = asyncio.ensure_future(work)
        done, _unused = await asyncio.wait({task}, timeout=TYPES_AFTER)
        if not done:
            with suppress(*FAILURES):
                await channel.typing()
        return await task

    async def _tell_by_button(self, actor: Actor, message: discord.Message) -> None:
        """Say once to each person how to go on, when they reply to a message of ours in words that don't
        arrive."""
        reference = message.reference
        if message.content or reference is None or reference.message_id is None:
            return
        try:
            found = await self._studio.job_of_message(actor, reference.message_id, Action.ASK_MORE)
        except NotAllowedError:
            return
        if found and await self._studio.talking.first_time(actor, _SAID_BY_BUTTON):
            await reply_to(message, _(BY_BUTTON))

    async def _ask(
        self,
        actor: Actor,
        message: discord.Message,
        question: str,
        files: Sequence[discord.Attachment],
        before: Job | None,
    ) -> None:
        """Queue a question that is no turn: about a video, or one that goes on from an answer to ``/ask``.
        Raises UserError."""
        chosen = await self._asking.preferences(actor)
        given = self._asking.links.attached(files)
        follows = before.id if before is not None else None
        new = await self._studio.requests.ask(actor, question, given, chosen, follows=follows)
        if new.private and actor.guild_id is not None:
            raise UserError(STEALTH)
        # say that it waits where its answer will be; the same message asked about twice makes one job
        shown = await reply_to(message, messages.placeholder_text(new.request, message.author.id))
        limit = message.guild.filesize_limit if message.guild else DEFAULT_FILE_LIMIT
        reply, is_new = Reply(message_id=shown.id if shown else None, file_limit=limit), False
        try:
            submitted = await self._studio.submit(actor, new, reply, once=_once(message.id))
            is_new = not submitted.duplicate
        finally:
            if shown is not None and not is_new:
                with suppress(*FAILURES):
                    await shown.delete()
        self._delivery.follow(submitted.job)

    async def _show_below(self, actor: Actor, message: discord.Message, turn: Turn) -> None:
        """Show a turn in a reply, and queue its job. Raises UserError."""
        if turn.job is not None or turn.message_id is not None:  # the same message again
            return
        in_server = message.guild is not None
        limit = message.guild.filesize_limit if message.guild else DEFAULT_FILE_LIMIT
        hidden = in_server and await self._is_hidden(actor, turn)
        if hidden and not turn.asks:
            raise UserError(STEALTH)
        if hidden:
            await reply_to(message, _(BY_MESSAGE))
            self._follow(await self._dialogues.submit(actor, turn, Reply(file_limit=limit)))
            return
        post = await self._post(actor, turn, limit, alone=not in_server)
        shown = await reply_to(message, post.text, view=post.plain_view(), nonce=nonce_of(turn.id))
        if shown is not None:
            await self._dialogues.said_with(actor, turn.id, shown.id)
            await self._add_pictures(post, shown)
        if not turn.asks:
            return
        reply = Reply(message_id=shown.id if shown else None, file_limit=limit)
        try:
            job = await self._dialogues.submit(actor, turn, reply)
            self._follow(job)
            if job is not None and shown is not None and job.reply.message_id != shown.id:
                with suppress(*FAILURES):  # it was queued meanwhile, and is told elsewhere
                    await shown.delete()
        except UserError as error:
            if shown is None:
                raise
            await Post(messages.fit_message(f"{post.text}\n❌ {error}")).put_in(shown)

    async def _add_pictures(self, post: Post, shown: discord.Message) -> None:
        """Show the whole of ``post`` in a message that has its words, which a phone shows at once."""
        if post.media:
            try:
                await post.put_in(shown)
            except FAILURES as error:
                log.info("message %s stays without its pictures (%s)", shown.id, type(error).__name__)

    # What had to wait, and what an earlier process left

    def told(self, turn: Turn) -> None:
        """Follow the job of a turn that had waited for a picture, or say that nothing comes of it."""
        if turn.job is not None:
            self._delivery.follow(turn.job)
        elif turn.channel_id:
            task = asyncio.create_task(self._end(turn), name=f"end turn {turn.id}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def show(self, actor: Actor, turn: Turn) -> None:
        """Show a later step of a plan in a message of its own, where everybody may read that."""
        hidden = actor.guild_id is not None and await self._is_hidden(actor, turn)
        if actor.surface is not Surface.DISCORD or hidden:
            return
        post = Post(turns.waiting_text(replace(turn, waits_for=None)), rows=turns.rows_of_offers(turn))
        channel, sent = self._channel(actor.channel_id), None
        try:
            if turn.created_at < self._began:  # an earlier process may have sent it without noting that
                source = discord.Object(time_snowflake(turn.created_at - CLOCKS))
                sent = await self._find(channel, source, turn.id)
            sent = sent or await self._send(channel, post, turn)
        except FAILURES as error:
            log.info("turn %s has no message yet (%s)", turn.id, type(error).__name__)
        else:
            await self._dialogues.said_with(actor, turn.id, sent.id)

    async def _send(self, channel: discord.PartialMessageable, post: Post, turn: Turn) -> discord.Message:
        view, nonce = post.plain_view(), nonce_of(turn.id)
        sent = await channel.send(post.text, view=view, nonce=nonce, allowed_mentions=SILENT)
        await self._add_pictures(post, sent)
        return sent

    async def _end(self, turn: Turn) -> None:
        channel, text = self._channel(turn.channel_id), turns.reply_text(turn)
        try:
            if turn.message_id is not None:
                await Post(text).put_in(channel.get_partial_message(turn.message_id))
            elif not turn.private or turn.guild_id is None:
                await channel.send(text, allowed_mentions=SILENT, nonce=nonce_of(turn.id))
        except FAILURES as error:
            log.info("turn %s: its end isn't told (%s)", turn.id, type(error).__name__)

    async def resume(self) -> None:
        """Show the turns that an earlier process wrote and didn't show any more; what it showed without
        noting that isn't shown twice: the job's message takes its place."""
        for actor, once, turn in await self._dialogues.unshown(ONCE):
            source = discord.Object(int(once.removeprefix(ONCE)))
            channel = self._channel(actor.channel_id)
            try:
                if turn.job is not None and turn.job.status.over:
                    continue
                if actor.guild_id is not None and await self._is_hidden(actor, turn):
                    continue
                shown = await self._find(channel, source, turn.id)
                if turn.job is not None or turn.asks:
                    if shown is not None:
                        await shown.delete()
                elif shown is not None:
                    await self._dialogues.said_with(actor, turn.id, shown.id)
                else:
                    post = await self._post(actor, turn, DEFAULT_FILE_LIMIT, alone=actor.guild_id is None)
                    sent = await self._send(channel, post, turn)
                    await self._dialogues.said_with(actor, turn.id, sent.id)
            except (UserError, *FAILURES) as error:
                log.info("turn %s isn't shown (%s)", turn.id, type(error).__name__)

    async def _find(
        self, channel: discord.PartialMessageable, source: discord.Object, turn_id: str
    ) -> discord.Message | None:
        """Return the message of a turn, which its menu names, among those after the one that it answers."""
        async for message in channel.history(limit=LOOKED_AT, after=source):
            if any(custom_id.endswith(f":{turn_id}") for custom_id in ids_of(message.components)):
                return message
        return None

    def _follow(self, job: Job | None) -> None:
        if job is not None:  # else its turn waits for a picture
            self._delivery.follow(job)

    async def _is_hidden(self, actor: Actor, turn: Turn) -> bool:
        """Return whether a turn is about something that nobody but its author may see."""
        if turn.private or turn.shows is None:
            return turn.private
        return (await self._studio.rights.job(actor, turn.shows[0], Action.SHOW)).origin.private

    async def _post(self, actor: Actor, turn: Turn, limit: int, *, alone: bool) -> Post:
        """Return what the message of a turn shows before its job has anything to say. alone: nobody else sees
        it. Raises UserError for a picture that others would see."""
        if turn.asks:
            return Post(turns.waiting_text(turn), rows=turns.rows_of_offers(turn))
        if turn.kind == "find" and alone and turn.decision.words:
            return await self._search(actor, turn.decision.words)
        if turn.kind not in ("back", "pick") or turn.shows is None or turn.reply:
            return Post(turns.reply_text(turn), rows=turns.rows_of_offers(turn))
        result = await self._studio.rights.result(actor, turn.shows[0], Action.SHOW)
        if result.job.origin.private and not alone:
            raise UserError(STEALTH)
        return await self._posts.of_turn(turn, result, limit, actor.place)

    # Interactions

    async def say(
        self, interaction: discord.Interaction, words: str, files: Sequence[discord.Attachment]
    ) -> None:
        """Take the words of a command as a turn. Raises UserError."""
        actor, given = actor_of(interaction), self._asking.links.attached(files)
        once = f"interaction:{interaction.id}"
        await self._answer(
            interaction, lambda: self._dialogues.say(actor, words, after=NEWEST, given=given, once=once)
        )

    async def on_press(self, interaction: discord.Interaction, turn_id: str, action: str, index: int) -> None:
        """Do what button ``action`` of a turn says; index: from 0, of an offer or a picture. Raises
        UserError."""
        actor, dialogues = actor_of(interaction), self._dialogues
        if action in ("changes", "find"):
            await self._list(interaction, turn_id, action)
            return

        async def make() -> Turn:
            match action:
                case "undo" | "redo":
                    return await dialogues.step(actor, turn_id, -1 if action == "undo" else 1)
                case "offer":
                    return await dialogues.offer(actor, turn_id, index)
                case "pick":
                    shown = (await dialogues.turn(actor, turn_id)).shows
                    if shown is None:
                        raise UserError(GONE)
                    return await dialogues.show(actor, turn_id, shown[0], index)
                case _ if action in turns.SAYS:
                    once = f"interaction:{interaction.id}"
                    return await dialogues.say(actor, turns.SAYS[action], after=turn_id, once=once)
            raise UserError(NEWER)

        await self._answer(interaction, make)

    async def on_meant(self, interaction: discord.Interaction, turn_id: str, value: str) -> None:
        """Do what somebody says they meant: a kind of turn, or the same with another picture. Raises
        UserError."""
        actor = actor_of(interaction)
        if value == turns.OTHER:
            await self._offer_others(interaction, turn_id)
            return
        kind: Kind | None = next((kind for kind in KINDS if kind == value), None)
        if kind is None:
            raise UserError(NEWER)
        await self._answer(interaction, lambda: self._dialogues.meant(actor, turn_id, kind))

    @answers_privately
    async def _offer_others(self, interaction: discord.Interaction, turn_id: str) -> None:
        """Ask which picture was meant."""
        tree = await self._dialogues.tree(actor_of(interaction), turn_id)
        found = {one.number: one.said for one in tree if one.number is not None and one.job is not None}
        newest = dict(list(found.items())[-MOST_OTHERS:])
        if not newest:
            raise UserError("There is no other picture in this conversation.")
        rows = rows_of(turns.OtherMenu(turn_id, newest))
        await Post(_("Which picture did you mean?"), rows=rows).answer(interaction)

    async def on_other(self, interaction: discord.Interaction, turn_id: str, number: str) -> None:
        """Do the same with another picture. Raises UserError."""
        actor = actor_of(interaction)
        if not number.isdecimal():
            raise UserError(NEWER)
        turn = await self._dialogues.turn(actor, turn_id)
        await self._answer(
            interaction,
            lambda: self._dialogues.meant(actor, turn_id, turn.kind, about=int(number)),
            hidden=turn.private,
        )

    async def _answer(
        self,
        interaction: discord.Interaction,
        make: Callable[[], Awaitable[Turn]],
        *,
        hidden: bool | None = None,
    ) -> None:
        """Show the turn that ``make`` returns in the answer of an interaction, for its asker alone where they
        keep what they ask for to themselves, or what it is about is ``hidden`` (None: where the message is
        that was pressed). Raises UserError."""
        actor, key, message = actor_of(interaction), press_key(interaction), interaction.message
        if actor.away:
            raise UserError(NOT_AWAY)
        if key is not None and key in self._pressed:
            await whisper(interaction, _(AGAIN))
            return
        if hidden is None:
            hidden = message is not None and message.flags.ephemeral
        alone = hidden or (await self._asking.preferences(actor)).private
        with self._answers.noted(interaction):
            if key is not None:
                self._pressed.add(key)
            job = None
            try:
                if await self._answers.acknowledge(interaction, ephemeral=alone):
                    job = await self._show_in(interaction, actor, await make(), alone)
            except UserError as error:
                await refuse(interaction, error)
            finally:
                task = self._delivery.tasks.get(job.id) if job is not None else None
                if key is not None and task is not None:
                    task.add_done_callback(lambda _: self._pressed.discard(key))
                elif key is not None:
                    self._pressed.discard(key)

    async def _show_in(
        self, interaction: discord.Interaction, actor: Actor, turn: Turn, alone: bool
    ) -> Job | None:
        """Show a turn in the answer of a deferred interaction, and return its queued job. alone: nobody else
        sees that answer. Raises UserError."""
        if turn.job is not None:  # the same was asked before
            await whisper(interaction, _(AGAIN))
            return None
        hidden = not alone and actor.guild_id is not None and await self._is_hidden(actor, turn)
        if hidden and not turn.asks:
            raise UserError(STEALTH)
        if hidden:
            job = await self._dialogues.submit(actor, turn, reply_beside(interaction))
            await whisper(interaction, _(BY_MESSAGE))
        elif turn.asks and turn.waits_for is None:
            job = await self._dialogues.submit(actor, turn, reply_in(interaction))
            belongs_to_job(interaction)
        else:
            shown = alone or actor.guild_id is None
            post = await self._post(actor, turn, file_limit(interaction), alone=shown)
            sent = await post.answer(interaction)
            belongs_to_job(interaction)
            if not sent.flags.ephemeral:
                await self._dialogues.said_with(actor, turn.id, sent.id)
            job = await self._dialogues.submit(actor, turn, reply_in(interaction)) if turn.asks else None
        self._follow(job)
        return job

    # Changes

    @answers_privately
    async def _list(self, interaction: discord.Interaction, turn_id: str, what: str) -> None:
        """Show the changes behind a turn's picture, or what its search finds, to the one who pressed."""
        actor = actor_of(interaction)
        turn = await self._dialogues.turn(actor, turn_id)
        if what == "find":
            post = await self._search(actor, turn.decision.words)
        elif turn.shows is not None:
            post = await self.changes(actor, *turn.shows)
        else:
            raise UserError(GONE)
        await post.answer(interaction)

    async def changes(self, actor: Actor, job_id: str, index: int) -> Post:
        """Return what picture ``index`` (from 0) of a job was made of, with a way to take a change out.
        Raises ImageError or NotAllowedError."""
        found = await self._dialogues.changes(actor, job_id, index)
        rows = rows_of(turns.TakeOutMenu(job_id, index, found)) if any(one.can_go for one in found) else ()
        return Post(turns.changes_text(found), rows=rows)

    async def on_take_out(
        self, interaction: discord.Interaction, job_id: str, index: int, number: str
    ) -> None:
        """Make a picture again without one of its changes. Raises UserError."""
        actor = actor_of(interaction)
        if not number.isdecimal():
            raise UserError(NEWER)
        job = await self._studio.rights.job(actor, job_id, Action.SHOW)
        once = f"interaction:{interaction.id}"
        await self._answer(
            interaction,
            lambda: self._dialogues.without(actor, job_id, index, int(number), once=once),
            hidden=job.origin.private,
        )


def _once(message_id: int) -> str:
    """Return what names the turn that a message is: the same message makes no second one."""
    return f"{ONCE}{message_id}"


def nonce_of(turn_id: str) -> str:
    """Return what lets Discord take the message of a turn once, however often it is sent."""
    return f"atelier-{turn_id}"
