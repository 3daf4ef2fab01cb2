"""Questions on Discord: the command, the menu of a message, the buttons under pictures and answers, and the
windows that they open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import discord

from bot.answers import Answers
from bot.asking import Asking
from bot.ui import windows
from bot.ui.windows import Submission
from bot.wire import private_api
from bot.wire.attachments import files_of, is_seen
from bot.wire.interactions import actor_of, press_key
from core.errors import ImageError
from core.job import Job
from core.requests import AskRequest
from core.requests.ask import FORMS, Form
from studio.actor import Actor
from studio.asking.new_job import NewJob
from studio.asking.sources import Given
from studio.asking.words import caption_prompt
from studio.authority import Action
from studio.studio import Studio

MORE, ABOUT = "Ask more", "Ask about this picture"
HINT = "How many boats are there, and what colour are they?"
Build = Callable[[], Awaitable[NewJob]]


class Questions:
    """Asks the studio's ``talking`` on behalf of an interaction."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking) -> None:
        self._studio, self._answers, self._asking = studio, answers, asking

    async def ask(
        self,
        interaction: discord.Interaction,
        question: str,
        files: Sequence[discord.Attachment],
        link: str | None,
        form: Form = "free",
    ) -> None:
        """Queue the first question of a conversation. Raises UserError where nothing answers any."""
        actor = actor_of(interaction)
        self._studio.talking.check_possible(form)

        async def build() -> NewJob:
            given: list[Given] = [*self._asking.links.attached(files)]
            if link:
                given.append(await self._given(actor, link.strip("<> ")))
            return await self._studio.talking.ask(actor, question, given, form)

        await self._queue(interaction, actor, build)

    async def _given(self, actor: Actor, link: str) -> Given:
        if link.lower().startswith("http"):
            return await self._asking.links.given(actor, link, films=True)
        return link

    async def _queue(
        self, interaction: discord.Interaction, actor: Actor, build: Build, private: bool = False
    ) -> None:
        chosen = await self._asking.preferences(actor)
        private = private or chosen.private

        async def built() -> NewJob:
            return (await build()).chosen(chosen.lane, private=private)

        await self._answers.ask(interaction, built, press_key=press_key(interaction), private=private)

    # Windows, opened

    async def open_more(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for a question that follows on from an answer."""
        self._studio.talking.check_possible()
        window = windows.question_window("more", job.id, 0, MORE, upload="Another picture, or a film")
        await interaction.response.send_modal(window)

    async def open_about(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window for a question about a picture of a job."""
        self._studio.talking.check_possible()
        await interaction.response.send_modal(
            windows.question_window("question", job.id, index, ABOUT, hint=HINT)
        )

    async def open_drawing(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        """Open the window that makes a prompt of an answer."""
        text = await self._studio.talking.answer(actor_of(interaction), job.id, Action.IMAGINE)
        await interaction.response.send_modal(
            windows.caption_window(job.id, 0, caption_prompt(" ".join(text.split()), None), "draw")
        )

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Open the window for a question about a message: its pictures, or the answer that it shows.

        Raises UserError, NotAllowedError for somebody else's.
        """
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        self._studio.talking.check_possible()
        if found is not None and isinstance(found[0].request, AskRequest):
            await self.open_more(interaction, found[0], 0)
            return
        content = await self.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        await interaction.response.send_modal(
            windows.question_window("menu", draft, 0, "Ask about this message", hint=HINT)
        )

    async def pictures_of(
        self, actor: Actor, message: discord.Message, found: tuple[Job, int | None] | None
    ) -> dict[str, Any]:
        """Return what is kept of a message until its question comes: names of pictures of ours, or where its
        files lie."""
        if found is not None:
            job, index = found
            result = await self._studio.rights.result(actor, job.id, Action.USE)
            numbers = [picture.index for picture in result.pictures] if index is None else [index]
            if numbers and result.pictures:
                return {"names": [f"{job.id} {number + 1}" for number in numbers]}
        files = [file for file in files_of(message) if is_seen(file)]
        if not files:
            raise ImageError("That message has no picture and no film.")
        return {"files": [dict(file.to_dict()) for file in files[:10]]}

    def given_of(self, interaction: discord.Interaction, content: Mapping[str, Any]) -> list[Given]:
        """Return the pictures that were kept of a message."""
        files = [private_api.attachment(interaction, raw) for raw in content.get("files", ())]
        return [*content.get("names", ()), *self._asking.links.attached(files)]

    # Windows, sent

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Queue the question that a window brings. Raises UserError, NotAllowedError."""
        actor, question = actor_of(interaction), sent.text("question")
        form: Form = next((form for form in FORMS if (form,) == sent.files.get("answer")), "free")
        talking, private = self._studio.talking, False
        if sent.what == "menu":
            content = await talking.kept(actor, sent.job_id)

            async def build() -> NewJob:
                return await talking.ask(actor, question, self.given_of(interaction, content), form)

        elif sent.what == "more":
            private = (await self._studio.rights.job(actor, sent.job_id, Action.ASK_MORE)).origin.private

            async def build() -> NewJob:
                found = (windows.uploaded(interaction, name) for name in sent.files.get("image", ()))
                files = self._asking.links.attached([file for file in found if file is not None])
                chosen = form if form != "free" else None  # which goes on as it was
                return await talking.ask_more(actor, sent.job_id, question, files, chosen)

        else:
            private = (await self._studio.rights.job(actor, sent.job_id, Action.USE)).origin.private

            async def build() -> NewJob:
                return await talking.ask(actor, question, [f"{sent.job_id} {sent.index + 1}"], form)

        await self._queue(interaction, actor, build, private)
