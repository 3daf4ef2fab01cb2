"""Hands presses and windows of projects, and what comes from a message's menu, to whoever answers them."""

from __future__ import annotations

import discord

from bot.answers import Answers
from bot.asking import Asking
from bot.projects import windows
from bot.projects.cards import Cards
from bot.projects.items import MARK
from bot.projects.making import Making
from bot.projects.pile import Pile
from bot.projects.verdicts import Verdicts
from bot.projects.versions import KEEP, Versions, number_of
from bot.questions import Questions
from bot.ui.windows import Submission
from bot.wire.interactions import acknowledge, actor_of
from core.errors import UserError
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, TASKS
from studio.authority import Action
from studio.projects.training import MOVES
from studio.requests.actions import NEWER
from studio.studio import Studio

PILE = ("skip", "back", "leave", "newlabel", "done")
NOTHING_YET = "There is no project that you may use here yet. `/inspect new` makes one."
JUDGING = (ANOMALY, CLASSIFY, DETECT)


class ProjectPresses:
    """Projects as an interaction meets them: their parts, buttons and windows. web: as of ``Cards``."""

    def __init__(
        self, studio: Studio, answers: Answers, asking: Asking, questions: Questions, web: str = ""
    ) -> None:
        self._studio, self._questions = studio, questions
        self.cards = cards = Cards(studio, asking, web)
        self.making = Making(studio, answers, asking, cards)
        self.pile, self.versions, self.verdicts = (
            Pile(studio, cards),
            Versions(studio, cards),
            Verdicts(studio, cards),
        )
        self._windows = {
            windows.ADD: self.cards.added,
            windows.TRY: self.making.tried,
            windows.NAME: self.pile.named,
            windows.WRONG: self.verdicts.was_wrong,
            windows.MENU_ADD: self._menu_added,
            windows.MENU_TRY: self._menu_tried,
        }

    async def on_press(
        self, interaction: discord.Interaction, project: str, action: str, more: str, value: str = ""
    ) -> None:
        """Do what a button, or the choice ``value`` in a menu, says of a project.

        Raises UserError when it can't be done, NotAllowedError when the presser may not.
        """
        if action in PILE or action.startswith(MARK):
            await self.pile.press(interaction, project, action, more, value)
            return
        match action:
            case "add":
                await self.cards.open_add(interaction, project)
            case "try":
                await self.making.open_try(interaction, project, number_of(more))
            case "train":
                await self.making.train(interaction, project)
            case "bundle":
                await self.making.bundle(interaction, project, number_of(more))
            case "look":
                await self.making.look_through(interaction, project)
            case "label":
                await self.pile.open(interaction, project)
            case "use":
                await self.versions.use(interaction, project, number_of(value or more) or 0)
            case "chart":
                await self.versions.chart(interaction, project, more)
            case "forget":
                await self.cards.forget(interaction, project)
            case _:
                await self._whispered(interaction, project, action, more)

    async def _whispered(
        self, interaction: discord.Interaction, project: str, action: str, more: str
    ) -> None:
        """Do what is answered for the presser alone, whatever it is."""
        move = action.removeprefix(KEEP)
        if not (action in ("show", "report", "compare") or move in MOVES):
            raise UserError(NEWER)
        if not await acknowledge(interaction, ephemeral=True):
            return
        if action == "show":
            await self.cards.show(interaction, project)
        elif action == "report":
            await self.versions.report(interaction, project, number_of(more))
        elif action == "compare":
            first, _, second = more.partition("-")
            await self.versions.compare(interaction, project, number_of(first) or 0, number_of(second) or 0)
        else:
            await self.versions.move(interaction, project, move, number_of(more), keep=action != move)

    def opens(self, sent: Submission) -> bool:
        """Return whether a window is one of these."""
        return sent.what in self._windows

    async def on_window(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Do what a window asks for that came back. Raises UserError, NotAllowedError."""
        await self._windows[sent.what](interaction, sent)

    # A message's menu

    async def open_menu(self, interaction: discord.Interaction, message: discord.Message, what: str) -> None:
        """Open the window that says to which project a message's pictures go. what: MENU_ADD or MENU_TRY.

        Raises UserError where there is no project, ImageError where there is no picture, NotAllowedError for
        somebody else's.
        """
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        projects = await self.cards.all(actor, TASKS if what == windows.MENU_ADD else JUDGING)
        if not projects:
            raise UserError(NOTHING_YET)
        content = await self._questions.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        await interaction.response.send_modal(windows.menu_window(what, draft, projects))

    async def _menu_added(self, interaction: discord.Interaction, sent: Submission) -> None:
        if not await acknowledge(interaction, ephemeral=True):
            return
        content = await self._studio.talking.kept(actor_of(interaction), sent.job_id)
        given = self._questions.given_of(interaction, content)
        await self.cards.add(interaction, sent.chosen("project"), (), sent.text("label"), given)

    async def _menu_tried(self, interaction: discord.Interaction, sent: Submission) -> None:
        content = await self._studio.talking.kept(actor_of(interaction), sent.job_id)
        given = self._questions.given_of(interaction, content)
        await self.making.try_on(interaction, sent.chosen("project"), (), given)
