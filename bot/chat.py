"""Questions on Discord: by commands, buttons and windows; threads in which conversations continue; and the
right answers and labelled pictures that teach the model by examples. Messages are ``bot.talk``'s."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import discord

from bot.discord_api import private_api
from bot.discord_api.attachments import files_of, is_seen
from bot.discord_api.interactions import actor_of
from bot.submit import Asking
from bot.ui import messages, modals
from bot.ui.messages import cut_text, length
from bot.ui.modals import Submission
from bot.ui.replies import SILENT, answers_privately, whisper
from core.errors import ImageError, UserError
from core.job import Job
from core.language import N_, _
from core.limits import LONGEST_NAME, MAX_LABEL, MAX_QUESTION
from core.requests import AskRequest
from core.requests.chat import FORMS, Form
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.new_job import NewJob, Source
from studio.studio import Studio
from studio.texts import caption_prompt, counted

MORE, ABOUT = N_("Ask more"), N_("Ask about this picture")
HINT = N_("How many boats are there, and what colour are they?")
LONGEST_THREAD_NAME = 90  # characters; Discord takes 100
HAS_ONE = 160004  # Discord's code for a message that has a thread
HERE = N_("Mention me here to continue this conversation.")
NOT_HERE = N_("A thread begins under a message in a channel of a server. Here, just write to me.")
ALREADY = N_("This is a thread already: mention me in it.")
NOT_YOU = N_(
    "You don't have permission to open threads in this channel. Reply to the message and mention me."
)
NOT_ME = N_(
    "I don't have permission to open threads in this channel. A channel manager can give me *Create Public"
    " Threads* and *Send Messages in Threads*. Until then, reply to the message and mention me."
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
        window = modals.question_window("more", job.id, 0, MORE, upload=_("Another picture, or a video"))
        await interaction.response.send_modal(window)

    async def open_about(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for a question about a picture of a job."""
        self._studio.talking.check_possible()
        await interaction.response.send_modal(
            modals.question_window("question", job.id, index, ABOUT, hint=_(HINT))
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
            modals.question_window("menu", draft, 0, _("Ask about this message"), hint=_(HINT))
        )

    async def open_sent(self, interaction: discord.Interaction, sha256: str) -> None:
        """Open the window for a question about a picture that the presser has sent. Raises UserError."""
        self._studio.talking.check_possible()
        draft = await self._studio.talking.keep(actor_of(interaction), {"names": [sha256]})
        await interaction.response.send_modal(
            modals.question_window("menu", draft, 0, _("Ask about this picture"), hint=_(HINT))
        )

    async def pictures_of(
        self, actor: Actor, message: discord.Message, found: tuple[Job, int | None] | None
    ) -> dict[str, Any]:
        """Return what is kept of a message until its question comes: names of pictures of ours, or where its
        files lie."""
        if found is not None and (names := await names_of(self._studio, actor, found)):
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
        words = getattr(told.request, "question", "") or getattr(told.request, "prompt", "")
        name = " ".join((words if told.worded else "").split()) or _("Conversation")
        if length(name) > LONGEST_THREAD_NAME:
            name = f"{cut_text(name, LONGEST_THREAD_NAME - 1)}…"
        try:
            thread = await message.create_thread(name=name)
            await thread.send(_(HERE), allowed_mentions=SILENT)
        except discord.Forbidden as error:
            raise UserError(NOT_ME) from error
        except discord.HTTPException as error:
            if error.code != HAS_ONE:
                raise
        await whisper(
            interaction, _("The conversation continues in <#{id}>.", id=message.id)
        )  # which is its id, too

    # Windows, sent

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue the question that a window brings. Raises UserError, NotAllowedError."""
        actor, question = actor_of(interaction), sent.text("question")
        form: Form = next((form for form in FORMS if form == sent.chosen("answer")), "free")
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


async def names_of(studio: Studio, actor: Actor, found: tuple[Job, int | None]) -> list[str]:
    """Return the names of the pictures of a job that a message shows: all of them, or the one."""
    job, index = found
    result = await studio.rights.result(actor, job.id, Action.USE)
    numbers = [picture.index for picture in result.pictures] if index is None else [index]
    return [f"{job.id} {number + 1}" for number in numbers if result.pictures]


TAUGHT = N_("Saved for later answers in this conversation. `/examples show` lists it in your set **{name}**.")


MOST_EXAMPLES = 5  # pictures at once


class Teaching:
    """Puts what windows bring into the studio's sets of examples."""

    def __init__(self, studio: Studio, asking: Asking, questions: Questions) -> None:
        self._studio, self._asking, self._questions = studio, asking, questions

    async def open_teach(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for the right answer to a question."""
        window = modals.Window(_("Teach the right answer"), "teach", job.id, 0)
        window.add_text(_("Right answer"), "answer", long=True, most=MAX_QUESTION)
        await interaction.response.send_modal(window)

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Open the window for the set and label of a message's pictures. Raises ImageError where it has none,
        NotAllowedError for somebody else's."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        content = await self._questions.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        window = modals.Window(_("Add as example"), "example", draft, 0)
        last = await self._studio.examples.last(actor)
        window.add_text(_("Set"), "set", last, hint=_("mushrooms; a new name makes a set"), most=LONGEST_NAME)
        window.add_text(_("Label"), "label", hint="chanterelle", most=MAX_LABEL)
        await interaction.response.send_modal(window)

    async def open_add(
        self, interaction: discord.Interaction, name: str, label: str = "", question: str = ""
    ) -> None:
        """Open the window for pictures of a set. Raises UserError, NotAllowedError."""
        found = await self._studio.examples.find(actor_of(interaction), name, Action.ORGANISE)
        window = modals.Window(_("Add pictures to {name}", name=found.name), "examples", found.id, 0)
        about = _("Up to {most_files} at once", most_files=MOST_EXAMPLES)
        window.add_upload(_("Pictures"), "pictures", about, least=1, most=MOST_EXAMPLES)
        window.add_text(_("Label, or the right answer"), "label", label, most=MAX_QUESTION)
        hint = _("Only for a set of questions")
        window.add_text(_("Question"), "question", question, required=False, hint=hint, most=MAX_QUESTION)
        await interaction.response.send_modal(window)

    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        label: str,
        given: Sequence[Given],
        question: str = "",
    ) -> None:
        """Put pictures into a set, and say what it has now; the interaction was deferred. Errors are those of
        the studio's sets."""
        contents = await self._studio.examples.add(actor_of(interaction), name, label, given, question)
        if contents.answers:
            count = counted(len(contents.examples), "question")
            text = _("**{name}** has {count} now.", name=messages.quote(contents.set.name, 80), count=count)
        else:
            kept = " ".join(label.split())
            text = added_text(contents.set.name, kept, contents.labels.get(kept, 0))
        await whisper(interaction, text)

    @answers_privately
    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Keep the examples that a window brings. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        if sent.what == "examples":
            files = self._asking.links.attached(modals.uploads(interaction, sent, "pictures"))
            await self.add(interaction, sent.job_id, sent.text("label"), files, sent.text("question"))
            return
        if sent.what == "teach":
            found = await self._studio.examples.teach(actor, sent.job_id, sent.text("answer"))
            await whisper(interaction, _(TAUGHT).format(name=messages.quote(found.name, 80)))
            return
        content = await self._studio.talking.kept(actor, sent.job_id)
        given = self._questions.given_of(interaction, content)
        label = " ".join(sent.text("label").split())
        contents = await self._studio.examples.add(actor, sent.text("set"), label, given, make=True)
        await whisper(interaction, added_text(contents.set.name, label, contents.labels.get(label, 0)))


def added_text(name: str, label: str, count: int) -> str:
    """Return what is said when pictures have come into a set. count: those that the label has now."""
    pictures = counted(count, "picture")
    return _(
        "**{label}** has {pictures} in **{name}** now.",
        label=messages.quote(label, 80),
        pictures=pictures,
        name=messages.quote(name, 80),
    )
