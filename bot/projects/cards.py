"""A project's card, which leads through it by buttons: pictures come in, and each message says what is
next."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import Any

import discord
from discord import app_commands

from bot.asking import Asking
from bot.delivery.post import Post
from bot.projects import text, windows
from bot.projects.items import ProjectButton
from bot.ui.buttons import view_of
from bot.ui.choices import choices
from bot.ui.messages import fit
from bot.ui.replies import SILENT, whisper
from bot.ui.windows import Submission, uploads
from bot.wire.interactions import acknowledge, actor_of, file_limit
from core.errors import ImageError, NotAllowedError, UserError
from core.requests.own_models import DETECT, STYLE
from storage.projects.rows import Project
from studio.actor import Actor
from studio.asking.sources import Given
from studio.asking.words import counted
from studio.projects.shelf import Card
from studio.studio import Studio

ZIP = (".zip",)
UNFIT = {STYLE: ("label", "try"), DETECT: ("label",)}  # task → buttons that it hasn't
TOO_LARGE = "That file has {size:.1f} MB, more than a message takes here.{where}"


class Cards:
    """Shows projects and takes pictures and labels in. Answers are for whoever asks alone. web: the address
    of the studio on the web, "" = none."""

    def __init__(self, studio: Studio, asking: Asking, web: str = "") -> None:
        self._studio, self._asking, self._web = studio, asking, web

    async def all(self, actor: Actor, tasks: Collection[str]) -> list[Project]:
        """Return the projects of these tasks that somebody may look at. Raises NotAllowedError."""
        return [one for one in await self._studio.projects.shelf.all(actor) if one.task in tasks]

    async def names(
        self, actor: Actor, typed: str, tasks: Collection[str], before: str = ""
    ) -> list[app_commands.Choice[str]]:
        """Return the projects of these tasks whose name has what was ``typed``, none for who may see none.
        before: stands before each name."""
        try:
            found = await self.all(actor, tasks)
        except UserError:
            return []
        wanted = typed.strip().removeprefix(before).casefold()
        fits = [one for one in found if wanted in one.name.casefold()]
        kinds = [f"{text.TASKS[one.task]}{', yours' if one.guild_id is None else ''}" for one in fits]
        return choices(
            (f"{before}{one.name} ({kind})", f"{before}{one.id}")
            for one, kind in zip(fits, kinds, strict=True)
        )

    async def show(self, interaction: discord.Interaction, name: str, said: str = "") -> None:
        """Show a project with what to do next, below what was ``said``; the interaction was deferred, for its
        asker alone. Raises UserError, NotAllowedError."""
        found = await self._studio.projects.shelf.card(actor_of(interaction), name)
        content = f"{said}\n{text.card(found)}" if said else text.card(found)
        await Post(fit(content), view=self.view(found)).answer(interaction)

    def view(self, found: Card) -> discord.ui.View:
        """Return the buttons of a project: what somebody may do with it, the next thing in green."""
        project, wanted = found.project.id, text.next_action(found)
        shown = [
            action
            for action, right in (("add", "add"), ("label", "label"), ("train", "train"), ("try", "use"))
            if right in found.may and action not in UNFIT.get(found.project.task, ())
        ]
        items = [ProjectButton(project, action, next_step=action == wanted, row=0) for action in shown]
        report = [ProjectButton(project, "report", row=0)] if found.version is not None else []
        web = f"{self._web}/projects/{project}"
        links = [discord.ui.Button[Any](label="Web", url=web, row=1)] if self._web else []
        draw = self.draw(project) if found.project.task == DETECT and "label" in found.may else []
        return view_of(*items, *report, *draw, *links)

    def draw(self, project: str, more: str = "") -> list[discord.ui.Button[Any]]:
        """Return the button that opens the page where boxes are drawn, none without a web. more: of its
        address."""
        url = f"{self._web}/projects/{project}/label{more}"
        return [discord.ui.Button[Any](label="Draw boxes", url=url, row=1)] if self._web else []

    async def show_all(self, interaction: discord.Interaction, tasks: Collection[str]) -> None:
        """Say which projects there are; the interaction was deferred."""
        await whisper(interaction, text.projects(await self.all(actor_of(interaction), tasks)))

    # Pictures

    async def open_add(self, interaction: discord.Interaction, project: str) -> None:
        """Open the window that brings pictures. Raises UserError, NotAllowedError."""
        found = await self._studio.projects.shelf.card(actor_of(interaction), project)
        if "add" not in found.may:
            raise UserError("You may not add pictures to this project. Its owner can let a role of yours.")
        await interaction.response.send_modal(windows.add_window(found))

    async def added(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Take the pictures of that window. Raises UserError, NotAllowedError."""
        if await acknowledge(interaction, ephemeral=True):
            label = windows.label_of(sent.chosen("label"), sent.text("new"))
            files = uploads(interaction, sent, "pictures")
            await self.add(interaction, sent.job_id, files, label, together="together" in sent.ticked)

    async def add(
        self,
        interaction: discord.Interaction,
        name: str,
        files: Sequence[discord.Attachment],
        label: str,
        given: Sequence[Given] = (),
        *,
        together: bool = False,
    ) -> None:
        """Take pictures and ZIP files in, and show the project with what is next; the interaction was
        deferred. given: pictures of ours, or linked ones. Raises UserError, NotAllowedError."""
        actor, pictures = actor_of(interaction), self._studio.projects.pictures
        plain = [file for file in files if not _is_zip(file)]
        said = []
        for file in self._asking.links.attached([file for file in files if _is_zip(file)]):
            said.append((await pictures.add_zip(actor, name, file, label)).sentence)
        if plain or given or not said:
            coming = [*self._asking.links.attached(plain), *given]
            said.append((await pictures.add(actor, name, coming, label, together=together)).sentence)
        await self.show(interaction, name, " ".join(said))

    async def given(self, actor: Actor, link: str | None) -> list[Given]:
        """Return what a link leads to, or the picture of ours that it names; nothing for none. Raises
        UserError, NotAllowedError."""
        if not link:
            return []
        named = link.strip("<> ")
        is_address = named.lower().startswith("http")
        return [await self._asking.links.given(actor, named) if is_address else named]

    # Labels

    async def book(
        self,
        interaction: discord.Interaction,
        name: str,
        add: str = "",
        meaning: str = "",
        drop: str = "",
        instead: str = "",
    ) -> None:
        """Change the label book as asked, and show it; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        actor, shelf = actor_of(interaction), self._studio.projects.shelf
        if add and drop:
            raise UserError("Give `add` or `drop`, not both.")
        if add:
            await shelf.put_label(actor, name, add, meaning)
        if drop:
            await shelf.drop_label(actor, name, drop, instead)
        found = await shelf.card(actor, name)
        await Post(text.book(found), view=self.view(found)).answer(interaction)

    async def export(self, interaction: discord.Interaction, name: str, form: str) -> None:
        """Hand out a project's labels; the interaction was deferred. Raises UserError, NotAllowedError."""
        data = await self._studio.projects.labelling.export(actor_of(interaction), name, form)
        if len(data) > file_limit(interaction):
            where = " The project's page on the web has it: `/web` opens it." if self._web else ""
            raise ImageError(TOO_LARGE.format(size=len(data) / 2**20, where=where))
        file = discord.File(io.BytesIO(data), f"labels-{form}.zip")
        content = f"The labels, as {form.upper()}. Pictures are called by their SHA-256, and aren't in it."
        await interaction.edit_original_response(content=content, attachments=[file], allowed_mentions=SILENT)

    async def import_(self, interaction: discord.Interaction, name: str, file: discord.Attachment) -> None:
        """Take labels that another program wrote; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        [attached] = self._asking.links.attached([file])
        done = await self._studio.projects.labelling.import_(actor_of(interaction), name, attached)
        boxes = f" with {counted(done.boxes, 'box')}" if done.boxes == 1 else f" with {done.boxes} boxes"
        unknown = f" {counted(done.unknown, 'row')} of pictures that aren't here." if done.unknown else ""
        said = f"{counted(done.labelled, 'picture')} labelled{boxes if done.boxes else ''}.{unknown}"
        await self.show(interaction, name, said)

    # The whole project

    async def ask_forget(self, interaction: discord.Interaction, name: str) -> None:
        """Ask whether a project is to be deleted; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.shelf.card(actor, name)
        if "manage" not in found.may:
            raise NotAllowedError("Only the project's owner, or somebody with Manage Server, can delete it.")
        versions = await self._studio.projects.training.versions(actor, name)
        there = f"{counted(found.counts.total, 'picture')} and {counted(len(versions), 'version')}"
        content = f"Delete {text.name(found.project)} with {there}? That can't be undone."
        await Post(content, view=view_of(ProjectButton(found.project.id, "forget"))).answer(interaction)

    async def forget(self, interaction: discord.Interaction, project: str) -> None:
        """Delete a project. Raises UserError, NotAllowedError."""
        if await acknowledge(interaction, ephemeral=True):
            actor = actor_of(interaction)
            found = (await self._studio.projects.shelf.card(actor, project)).project
            await self._studio.projects.shelf.forget(actor, project)
            await whisper(interaction, f"{text.name(found)} is deleted.")


def _is_zip(file: discord.Attachment) -> bool:
    return file.filename.lower().endswith(ZIP) or file.content_type in (
        "application/zip",
        "application/x-zip-compressed",
    )
