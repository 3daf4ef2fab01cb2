"""Examples on Discord by windows: "Teach" under an answer, and "Add as example" in a message's menu."""

from __future__ import annotations

import discord

from bot.asking import Asking
from bot.questions import Questions
from bot.ui import messages, windows
from bot.ui.replies import whisper
from bot.ui.windows import Submission
from bot.wire.interactions import acknowledge, actor_of
from core.job import Job
from core.limits import LONGEST_NAME, MAX_LABEL, MAX_QUESTION
from studio.authority import Action
from studio.studio import Studio
from studio.texts import counted

TAUGHT = (
    "Noted. Later answers to you in this conversation are told so; `/examples show` has it in your set"
    " **{name}**."
)


class Teaching:
    """Puts what windows bring into the studio's sets of examples."""

    def __init__(self, studio: Studio, asking: Asking, questions: Questions) -> None:
        self._studio, self._asking, self._questions = studio, asking, questions

    async def open_teach(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for the right answer to a question."""
        window = windows.Window("Teach the right answer", "teach", job.id, 0)
        window.add_text("Right answer", "answer", long=True, most=MAX_QUESTION)
        await interaction.response.send_modal(window)

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Open the window for the set and label of a message's pictures.

        Raises ImageError where it has none, NotAllowedError for somebody else's.
        """
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        content = await self._questions.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        window = windows.Window("Add as example", "example", draft, 0)
        last = await self._studio.examples.last(actor)
        window.add_text("Set", "set", last, hint="mushrooms; a new name makes a set", most=LONGEST_NAME)
        window.add_text("Label", "label", hint="chanterelle", most=MAX_LABEL)
        await interaction.response.send_modal(window)

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Keep the example that a window brings. Raises UserError, NotAllowedError."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        actor = actor_of(interaction)
        if sent.what == "teach":
            found = await self._studio.examples.teach(actor, sent.job_id, sent.text("answer"))
            await whisper(interaction, TAUGHT.format(name=messages.quote(found.name, 80)))
            return
        content = await self._studio.talking.kept(actor, sent.job_id)
        given = self._questions.given_of(interaction, content)
        label = " ".join(sent.text("label").split())
        contents = await self._studio.examples.add(actor, sent.text("set"), label, given, make=True)
        await whisper(interaction, added(contents.set.name, label, contents.labels.get(label, 0)))


def added(name: str, label: str, count: int) -> str:
    """Return what is said when pictures have come into a set. count: those that the label has now."""
    pictures = counted(count, "picture")
    return f"**{messages.quote(label, 80)}** has {pictures} in **{messages.quote(name, 80)}** now."
