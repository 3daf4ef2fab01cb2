"""Conversations on Discord: questions by commands, buttons and windows, and by messages that mention the bot;
threads in which they continue; and the right answers and labelled pictures that teach the model by examples.

What a message asks is a job like every other; its answer is a reply.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import discord

from bot.delivery import Delivery
from bot.discord_api import private_api
from bot.discord_api.attachments import files_of, is_seen
from bot.discord_api.http import FAILURES
from bot.discord_api.interactions import actor_of, actor_of_message
from bot.submit import Asking
from bot.ui import messages, modals
from bot.ui.messages import cut_text, length
from bot.ui.modals import Submission
from bot.ui.replies import SILENT, answers_privately, reply_to, whisper
from core.errors import ImageError, NotAllowedError, UserError
from core.job import DEFAULT_FILE_LIMIT, Job, Reply
from core.limits import LONGEST_NAME, MAX_LABEL, MAX_QUESTION
from core.requests import AskRequest
from core.requests.chat import FORMS, Form
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.new_job import NewJob, Source
from studio.studio import Studio
from studio.texts import caption_prompt, counted

MORE, ABOUT = "Ask more", "Ask about this picture"
HINT = "How many boats are there, and what colour are they?"
LONGEST_THREAD_NAME = 90  # characters; Discord takes 100
HAS_ONE = 160004  # Discord's code for a message that has a thread
HERE = "Mention me here to continue this conversation."
NOT_HERE = "A thread begins under an answer in a channel of a server. Here, continue with **Ask more**."
ALREADY = "This is a thread already: mention me in it, or press **Ask more**."
NOT_YOU = "You don't have permission to open threads in this channel. Press **Ask more** instead."
NOT_ME = (
    "I don't have permission to open threads in this channel. A channel manager can give me *Create Public"
    " Threads* and *Send Messages in Threads*. Until then, press **Ask more**."
)


class Questions:
    """Asks the studio's ``talking`` on behalf of an interaction."""

    def __init__(self, studio: Studio, asking: Asking) -> None:
        self._studio, self._asking = studio, asking

    async def ask(
        self,
        interaction: discord.Interaction,
        question: str,
        files: Sequence[discord.Attachment],
        link: str | None,
        form: Form = "free",
    ) -> None:
        """Queue the first question of a conversation, about the member's last picture where none is named.
        Raises UserError where nothing answers any."""
        actor = actor_of(interaction)
        self._studio.talking.check_possible(form)
        chosen, last = await self._asking.preferences(actor), list[Source]()

        async def build() -> NewJob:
            given: list[Given] = [*self._asking.links.attached(files)]
            if link:
                given.append(await self._asking.links.given(actor, link, videos=True))
            if not given:
                source = await self._asking.picture(actor, None, None)
                assert source.job is not None  # whose picture it is
                last.append(source)
                given.append(f"{source.job.id} {source.index + 1}")
            return await self._studio.requests.ask(actor, question, given, chosen, form)

        job = await self._asking.queue(interaction, build, chosen=chosen)
        await self._asking.tell_last(interaction, job, last)

    # Windows, opened

    async def open_more(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for a question that follows on from an answer."""
        self._studio.talking.check_possible()
        window = modals.question_window("more", job.id, 0, MORE, upload="Another picture, or a video")
        await interaction.response.send_modal(window)

    async def open_about(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for a question about a picture of a job."""
        self._studio.talking.check_possible()
        await interaction.response.send_modal(
            modals.question_window("question", job.id, index, ABOUT, hint=HINT)
        )

    async def open_drawing(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window that makes a prompt of an answer."""
        text = (await self._studio.talking.answer(actor_of(interaction), job.id, Action.IMAGINE)).text
        await interaction.response.send_modal(
            modals.caption_window(job.id, 0, caption_prompt(" ".join(text.split()), None), "draw")
        )

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Open the window for a question about a message: its pictures, or the answer that it shows. Raises
        UserError, NotAllowedError for somebody else's."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        self._studio.talking.check_possible()
        if found is not None and isinstance(found[0].request, AskRequest):
            await self.open_more(interaction, found[0], 0)
            return
        content = await self.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        await interaction.response.send_modal(
            modals.question_window("menu", draft, 0, "Ask about this message", hint=HINT)
        )

    async def open_sent(self, interaction: discord.Interaction, sha256: str) -> None:
        """Open the window for a question about a picture that the presser has sent. Raises UserError."""
        self._studio.talking.check_possible()
        draft = await self._studio.talking.keep(actor_of(interaction), {"names": [sha256]})
        await interaction.response.send_modal(
            modals.question_window("menu", draft, 0, "Ask about this picture", hint=HINT)
        )

    async def pictures_of(
        self, actor: Actor, message: discord.Message, found: tuple[Job, int | None] | None
    ) -> dict[str, Any]:
        """Return what is kept of a message until its question comes: names of pictures of ours, or where its
        files lie."""
        if found is not None and (names := await _names_of(self._studio, actor, found)):
            return {"names": names}
        files = [file for file in files_of(message) if is_seen(file)]
        if not files:
            raise ImageError("That message has no picture and no video.")
        return {"files": [dict(file.to_dict()) for file in files[:10]]}

    def given_of(self, interaction: discord.Interaction, content: Mapping[str, Any]) -> list[Given]:
        """Return the pictures that were kept of a message."""
        files = [private_api.attachment(interaction, raw) for raw in content.get("files", ())]
        return [*content.get("names", ()), *self._asking.links.attached(files)]

    @answers_privately
    async def open_thread(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open a thread under the message that was pressed, or lead to the one that it has. Raises
        UserError."""
        message, channel = interaction.message, interaction.channel
        if isinstance(channel, discord.Thread):
            raise UserError(ALREADY)
        if message is None or not isinstance(channel, discord.TextChannel) or message.flags.ephemeral:
            raise UserError(NOT_HERE)
        if not interaction.permissions.create_public_threads:
            raise UserError(NOT_YOU)
        if not interaction.app_permissions.send_messages_in_threads:  # else an empty thread would stay
            raise UserError(NOT_ME)
        told = await self._studio.told(actor_of(interaction), job)  # its words where they may be told
        question = told.request.question if isinstance(told.request, AskRequest) and told.worded else ""
        name = " ".join(question.split()) or "Questions"
        if length(name) > LONGEST_THREAD_NAME:
            name = f"{cut_text(name, LONGEST_THREAD_NAME - 1)}…"
        try:
            thread = await message.create_thread(name=name)
            await thread.send(HERE, allowed_mentions=SILENT)
        except discord.Forbidden as error:
            raise UserError(NOT_ME) from error
        except discord.HTTPException as error:
            if error.code != HAS_ONE:
                raise
        await whisper(interaction, f"The conversation continues in <#{message.id}>.")  # which is its id, too

    # Windows, sent

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue the question that a window brings. Raises UserError, NotAllowedError."""
        actor, question = actor_of(interaction), sent.text("question")
        form: Form = next((form for form in FORMS if (form,) == sent.files.get("answer")), "free")
        chosen = await self._asking.preferences(actor)
        ask, about = partial(self._studio.requests.ask, actor, question, chosen=chosen), None
        if sent.what == "menu":
            given = self.given_of(interaction, await self._studio.talking.kept(actor, sent.job_id))
            build = partial(ask, given, form=form)
        elif sent.what == "more":
            about = await self._studio.rights.job(actor, sent.job_id, Action.ASK_MORE)
            files = self._asking.links.attached(modals.uploads(interaction, sent, "image"))
            build = partial(ask, files, form=form if form != "free" else None, follows=about.id)
        else:
            about = await self._studio.rights.job(actor, sent.job_id, Action.USE)
            build = partial(ask, [f"{sent.job_id} {sent.index + 1}"], form=form)
        private = about is not None and about.origin.private
        await self._asking.queue(interaction, build, private=private, chosen=chosen)


CONTINUES = timedelta(days=1)  # a direct message is the next turn of a conversation that is no older
NEW = ("new", "start over")  # words of a direct message that end a conversation
ASKS = re.compile(r"\?|^\s*ask\b", re.IGNORECASE)
BY_BUTTON = (
    "I can't read replies here unless they mention me: press **Ask more**, or mention me in the reply."
)
STEALTH = "Stealth is on, and everybody would see an answer here: use `/ask` instead."
FRESH = "A new conversation: send a picture with your next question."
_SAID_BY_BUTTON = "told_ask_more"


class Mentions:
    """Asks on behalf of messages."""

    def __init__(self, studio: Studio, asking: Asking, delivery: Delivery) -> None:
        self._studio, self._asking, self._delivery = studio, asking, delivery

    async def in_server(self, message: discord.Message, me: discord.ClientUser) -> None:
        """Answer a message of a server that mentions the bot, or replies to an answer of it."""
        if not self._studio.talking.is_possible:
            return
        actor = actor_of_message(message)
        question = re.sub(rf"<@!?{me.id}>", " ", message.content).strip()
        if me not in message.mentions or not question:
            await self._tell_by_button(actor, message)
            return
        try:
            before = await self._before(actor, message)
            if before is None and not message.attachments:
                return  # somebody talks about the bot, not to it
            await self._ask(actor, message, question, before)
        except UserError as error:
            await reply_to(message, f"❌ {error}")

    async def direct(self, message: discord.Message) -> bool:
        """Take a direct message as a question; return False where it is none: a picture without one, or words
        with nothing that they could be about."""
        talking = self._studio.talking
        if not talking.is_possible:
            return False
        actor = actor_of_message(message)
        if message.attachments:
            if not ASKS.search(message.content):
                return False
            question = re.sub(r"^\s*ask\s+", "", message.content, flags=re.IGNORECASE)
            return await self._ask_or_say(actor, message, question, None)
        if message.content.strip().lower() in NEW:
            await talking.end_direct(actor)
            await reply_to(message, FRESH)
            return True
        before = await self._replied_to(actor, message)
        if before is None or not isinstance(before[0].request, AskRequest):
            since = datetime.now(UTC) - CONTINUES
            latest = await talking.latest(actor, since)
            before = (latest, None) if latest else None
        if before is None or not message.content.strip():
            return False
        return await self._ask_or_say(actor, message, message.content, before)

    async def _ask_or_say(
        self, actor: Actor, message: discord.Message, question: str, before: tuple[Job, int | None] | None
    ) -> bool:
        try:
            await self._ask(actor, message, question, before)
        except UserError as error:
            await reply_to(message, f"❌ {error}")
        return True

    async def _tell_by_button(self, actor: Actor, message: discord.Message) -> None:
        """Say once to each person how to go on, when they reply to an answer in words that don't arrive."""
        reference = message.reference
        if message.content or reference is None or reference.message_id is None:
            return
        try:
            found = await self._studio.job_of_message(actor, reference.message_id, Action.ASK_MORE)
        except NotAllowedError:
            return
        if found and isinstance(found[0].request, AskRequest):
            if await self._studio.talking.first_time(actor, _SAID_BY_BUTTON):
                await reply_to(message, BY_BUTTON)

    async def _before(self, actor: Actor, message: discord.Message) -> tuple[Job, int | None] | None:
        """Return what a message is about: the job that it replies to, or the latest question of its thread,
        or the answer that the thread began under."""
        found = await self._replied_to(actor, message)
        if found is not None or not isinstance(message.channel, discord.Thread):
            return found
        latest = await self._studio.talking.latest_here(actor)
        if latest is not None:
            return latest, None
        return await self._studio.job_of_message(actor, message.channel.id, Action.USE)

    async def _replied_to(self, actor: Actor, message: discord.Message) -> tuple[Job, int | None] | None:
        reference = message.reference
        if reference is None or reference.message_id is None:
            return None
        return await self._studio.job_of_message(actor, reference.message_id, Action.USE)

    async def _ask(
        self, actor: Actor, message: discord.Message, question: str, before: tuple[Job, int | None] | None
    ) -> None:
        """Queue a question and follow it in a reply. Raises UserError."""
        chosen = await self._asking.preferences(actor)
        files = [file for file in message.attachments if is_seen(file)]
        given: list[Given] = [*self._asking.links.attached(files)]
        follows = None
        if before is not None and isinstance(before[0].request, AskRequest):
            follows = before[0].id
        elif before is not None:
            given = [*await _names_of(self._studio, actor, before), *given]
        new = await self._studio.requests.ask(actor, question, given, chosen, follows=follows)
        if new.private and actor.guild_id is not None:
            raise UserError(STEALTH)
        # say that it waits where its answer will be; the same message asked about twice makes one job
        shown = await reply_to(message, messages.placeholder_text(new.request, message.author.id))
        limit = message.guild.filesize_limit if message.guild else DEFAULT_FILE_LIMIT
        reply, is_new = Reply(message_id=shown.id if shown else None, file_limit=limit), False
        try:
            submitted = await self._studio.submit(actor, new, reply, once=f"message:{message.id}")
            is_new = not submitted.duplicate
        finally:
            if shown is not None and not is_new:
                with suppress(*FAILURES):
                    await shown.delete()
        self._delivery.follow(submitted.job)


async def _names_of(studio: Studio, actor: Actor, found: tuple[Job, int | None]) -> list[str]:
    """Return the names of the pictures of a job that a message shows: all of them, or the one."""
    job, index = found
    result = await studio.rights.result(actor, job.id, Action.USE)
    numbers = [picture.index for picture in result.pictures] if index is None else [index]
    return [f"{job.id} {number + 1}" for number in numbers if result.pictures]


TAUGHT = "Saved for later answers in this conversation. `/examples show` lists it in your set **{name}**."


class Teaching:
    """Puts what windows bring into the studio's sets of examples."""

    def __init__(self, studio: Studio, asking: Asking, questions: Questions) -> None:
        self._studio, self._asking, self._questions = studio, asking, questions

    async def open_teach(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for the right answer to a question."""
        window = modals.Window("Teach the right answer", "teach", job.id, 0)
        window.add_text("Right answer", "answer", long=True, most=MAX_QUESTION)
        await interaction.response.send_modal(window)

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Open the window for the set and label of a message's pictures. Raises ImageError where it has none,
        NotAllowedError for somebody else's."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        content = await self._questions.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        window = modals.Window("Add as example", "example", draft, 0)
        last = await self._studio.examples.last(actor)
        window.add_text("Set", "set", last, hint="mushrooms; a new name makes a set", most=LONGEST_NAME)
        window.add_text("Label", "label", hint="chanterelle", most=MAX_LABEL)
        await interaction.response.send_modal(window)

    @answers_privately
    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Keep the example that a window brings. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        if sent.what == "teach":
            found = await self._studio.examples.teach(actor, sent.job_id, sent.text("answer"))
            await whisper(interaction, TAUGHT.format(name=messages.quote(found.name, 80)))
            return
        content = await self._studio.talking.kept(actor, sent.job_id)
        given = self._questions.given_of(interaction, content)
        label = " ".join(sent.text("label").split())
        contents = await self._studio.examples.add(actor, sent.text("set"), label, given, make=True)
        await whisper(interaction, added_text(contents.set.name, label, contents.labels.get(label, 0)))


def added_text(name: str, label: str, count: int) -> str:
    """Return what is said when pictures have come into a set. count: those that the label has now."""
    pictures = counted(count, "picture")
    return f"**{messages.quote(label, 80)}** has {pictures} in **{messages.quote(name, 80)}** now."
