"""The pile of a project's pictures that wait for a label: one message that each press turns to the next.

Which picture it shows, and which came before, its buttons know; what was skipped comes again at the end.
"""

from __future__ import annotations

from typing import Any

import discord

from bot.delivery.post import Picture, Post
from bot.projects import text, windows
from bot.projects.cards import Cards
from bot.projects.items import MARK, ProjectButton, ProjectMenu, mark_of
from bot.ui.buttons import view_of
from bot.ui.messages import fit, quote
from bot.ui.windows import Submission
from bot.wire.interactions import acknowledge, actor_of
from core.errors import UserError
from core.requests.custom_models import DETECT
from storage.projects.dataset import DISPUTED, Item
from studio.actor import Actor
from studio.projects.projects import Card
from studio.studio import Studio
from studio.texts import counted

MOST_BUTTONS = 10  # labels that have a button each; more are a menu
SIDE = 512  # px of the picture that is shown
BOXES = "Things are marked by boxes, which are drawn on the web or come with a file, not in a message."
CHANGED = "That label isn't in the book any more. Press Skip, and the next picture has the new ones."


class Pile:
    """Shows pictures that wait for a label, and takes what they are called."""

    def __init__(self, studio: Studio, cards: Cards) -> None:
        self._studio, self._cards = studio, cards

    async def open(self, interaction: discord.Interaction, name: str) -> None:
        """Show the first picture in a message of its own. Raises UserError, NotAllowedError."""
        if await acknowledge(interaction, ephemeral=True):
            await self.start(interaction, name)

    async def start(self, interaction: discord.Interaction, name: str) -> None:
        """As ``open`` does; the interaction was deferred."""
        actor = actor_of(interaction)
        found = await self._studio.projects.shelf.card(actor, name)
        if found.project.task == DETECT:
            await self._cards.show(interaction, name, BOXES)
            return
        item = await self._studio.projects.labelling.next(actor, name)
        await self._show(interaction, actor, name, item, "")

    async def press(
        self, interaction: discord.Interaction, project: str, action: str, sha256: str, value: str = ""
    ) -> None:
        """Do what a button or the menu of the pile says of a picture, and show the next one.

        Raises UserError, NotAllowedError.
        """
        if action == "newlabel":
            await interaction.response.send_modal(windows.name_window(project, sha256))
            return
        await interaction.response.defer()
        actor, labelling = actor_of(interaction), self._studio.projects.labelling
        if action == "back":
            await self._back(interaction, actor, project, sha256)
            return
        if action == "done":
            await self._end(interaction, actor, project)
            return
        if action == "leave":
            await labelling.leave_out(actor, project, [sha256])
        elif action != "skip":
            await labelling.mark(actor, project, sha256, value or await self._named(actor, project, action))
        await self._turn(interaction, actor, project, sha256)

    async def named(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Take the new label of a window. Raises UserError, NotAllowedError."""
        await interaction.response.defer()
        actor = actor_of(interaction)
        await self._studio.projects.labelling.mark(actor, sent.job_id, sent.more, sent.text("label"))
        await self._turn(interaction, actor, sent.job_id, sent.more)

    async def _named(self, actor: Actor, project: str, action: str) -> str:
        found = await self._studio.projects.shelf.card(actor, project)
        label = next((one.name for one in found.book if mark_of(one.name) == action), None)
        if label is None:
            raise UserError(CHANGED)
        return label

    async def _turn(self, interaction: discord.Interaction, actor: Actor, project: str, sha256: str) -> None:
        """Show the picture after this one, or of those before it the first without a label."""
        item = await self._studio.projects.labelling.next(actor, project, after=sha256)
        await self._show(interaction, actor, project, item, sha256)

    async def _back(self, interaction: discord.Interaction, actor: Actor, project: str, sha256: str) -> None:
        """Show a picture that was there before; one that was left out is taken in again."""
        labelling = self._studio.projects.labelling
        await labelling.leave_out(actor, project, [sha256], out=False)
        said = {mark.label for mark in await labelling.marks(actor, project, sha256)}
        label = next(iter(said)) if len(said) == 1 else ""
        await self._picture(interaction, actor, project, sha256, label, disputed=len(said) > 1)

    async def _show(
        self, interaction: discord.Interaction, actor: Actor, name: str, item: Item | None, before: str
    ) -> None:
        if item is None:
            doubted = await self._studio.projects.labelling.doubted(actor, name, after=before)
            if doubted is None:
                await self._end(interaction, actor, name)
                return
            said = f"version {doubted.version} takes it for **{quote(doubted.rather, 80)}**. Look again:"
            item = doubted.item
            await self._picture(interaction, actor, name, item.sha256, item.label, before, doubt=said)
            return
        disputed = item.state == DISPUTED
        await self._picture(interaction, actor, name, item.sha256, item.label, before, disputed=disputed)

    async def _picture(
        self,
        interaction: discord.Interaction,
        actor: Actor,
        name: str,
        sha256: str,
        label: str,
        before: str = "",
        *,
        disputed: bool = False,
        doubt: str = "",
    ) -> None:
        found = await self._studio.projects.shelf.card(actor, name)
        data = await self._studio.projects.pictures.show(actor, name, sha256, SIDE)
        content = await self._text(actor, found, sha256, label, disputed=disputed, doubt=doubt)
        picture = Picture(data, f"{sha256[:12]}.webp", f"a picture of {found.project.name}")
        await Post(content, picture, _view(found, sha256, before)).answer(interaction)

    async def _text(
        self, actor: Actor, found: Card, sha256: str, label: str, *, disputed: bool, doubt: str
    ) -> str:
        lines = [f"{text.name(found.project)} · {counted(text.unlabelled(found), 'picture')} to label"]
        if disputed:
            marks = await self._studio.projects.labelling.marks(actor, found.project.id, sha256)
            said = ", ".join(f"{quote(mark.label, 40)} by {_who(mark.user_id)}" for mark in marks)
            lines.append(f"People disagree: {said}. What is it?")
        elif label:
            called = f"It is called **{quote(label, 80)}**"
            lines.append(f"{called}; {doubt} what is it?" if doubt else f"{called}. What is it?")
        else:
            lines.append("What is it?" if found.book else "What is it? Press **New label** and name it.")
        lines += [f"-# {quote(one.name, 80)}: {quote(one.meaning, 150)}" for one in found.book if one.meaning]
        return fit("\n".join(lines))

    async def _end(self, interaction: discord.Interaction, actor: Actor, name: str) -> None:
        found = await self._studio.projects.shelf.card(actor, name)
        count = text.unlabelled(found)
        said = (
            f"{counted(count, 'picture')} still without a label." if count else "Every picture has a label."
        )
        if found.counts.said:  # by whoever looks
            said += f" {counted(found.counts.said, 'picture')} that you have labelled wait for another voice."
        await Post(f"{said}\n{text.card(found)}", view=self._cards.view(found)).answer(interaction)


def _who(user_id: int) -> str:
    return f"<@{user_id}>" if user_id else "somebody who is gone"


def _view(found: Card, sha256: str, before: str) -> discord.ui.View:
    """Return a button, or an entry of a menu, for each label, and what turns the pile."""
    project, labels = found.project.id, [one.name for one in found.book]
    naming: list[discord.ui.Item[Any]] = []
    if len(labels) > MOST_BUTTONS:
        options = {label: label for label in labels}
        naming.append(ProjectMenu(project, MARK, sha256, options, hint="It is …", row=0))
    else:
        naming += [
            ProjectButton(project, mark_of(label), sha256, label=label, row=place // 5)
            for place, label in enumerate(labels)
        ]
    turning = [ProjectButton(project, action, sha256, row=2) for action in ("skip", "leave", "newlabel")]
    back = [ProjectButton(project, "back", before, row=2)] if before else []
    sure = found.version is not None and "use" in found.may and text.unlabelled(found) > 1
    look = [ProjectButton(project, "look", row=3)] if sure else []
    return view_of(*naming, *back, *turning, ProjectButton(project, "done", row=2), *look)
