"""What presses, windows and menus of projects do: a version is trained, tried or packed, verdicts are found
right or wrong, and all else is handed to who answers it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import discord

from bot import submit
from bot.chat import Questions
from bot.discord_api.interactions import acknowledge, actor_of, press_key
from bot.projects import views
from bot.projects.cameras import ACTIONS as CAMERAS
from bot.projects.cameras import Cameras
from bot.projects.cards import Cards, LabellingQueue
from bot.projects.results import KEEP, Versions, number_of
from bot.projects.views import MARK, ProjectButton
from bot.submit import Answers, Asking
from bot.ui.buttons import rows_of
from bot.ui.layout import Picture
from bot.ui.modals import Submission, uploads
from bot.ui.replies import Post, answers_privately, whisper
from core.errors import UserError
from core.job import Job, Lane
from core.language import N_, _
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, STYLE, TASKS, ProjectRequest
from studio.authority import Action, Actor
from studio.inputs import Given
from studio.new_job import NewJob
from studio.projects.trainings import MOVES
from studio.requests.actions import NEWER
from studio.studio import Studio
from studio.texts import counted


class ProjectJobs:
    """Queues jobs about own models. Of a project that is somebody's alone, only they see the answer."""

    def __init__(self, studio: Studio, answers: Answers, asking: Asking, cards: Cards) -> None:
        self._studio, self._answers, self._asking, self._cards = studio, answers, asking, cards

    async def train(self, interaction: discord.Interaction, name: str) -> None:
        """Queue the training of a project's next version. Raises UserError, NotAllowedError."""
        build = partial(self._studio.training.train, actor_of(interaction), name)
        await self._queue(interaction, name, build, own_lane=False)

    async def look_through(self, interaction: discord.Interaction, name: str) -> None:
        """Queue the question what the version in use says of pictures without a label. Raises UserError,
        NotAllowedError."""
        build = partial(self._studio.inference.look_through, actor_of(interaction), name)
        await self._queue(interaction, name, build, own_lane=False)

    async def bundle(self, interaction: discord.Interaction, name: str, number: int | None = None) -> None:
        """Queue the packing of a version (None = the one in use). Raises UserError, NotAllowedError."""
        build = partial(self._studio.inference.bundle, actor_of(interaction), name, number)
        await self._queue(interaction, name, build)

    async def try_on(
        self,
        interaction: discord.Interaction,
        name: str,
        files: Sequence[discord.Attachment],
        given: Sequence[Given] = (),
        number: int | None = None,
    ) -> None:
        """Queue the question what a version (None = the one in use) says of pictures. given: pictures of
        ours, or linked ones. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        coming: list[Given] = [*self._asking.links.attached(files), *given]
        build = partial(self._studio.inference.try_, actor, name, coming, number=number)
        await self._queue(interaction, name, build)

    async def open_try(self, interaction: discord.Interaction, project: str, number: int | None) -> None:
        """Open the window for pictures to try. Raises UserError, NotAllowedError."""
        found = await self._studio.projects.card(actor_of(interaction), project)
        if found.project.task == STYLE:
            raise UserError("A style can't judge pictures. Use it with `--lora` to draw.")
        if found.version is None and number is None:
            raise UserError(f"{found.project.name} has no model yet. Press Train first.")
        await interaction.response.send_modal(views.try_window(found, number))

    async def tried(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Try the pictures of that window. Raises UserError, NotAllowedError."""
        number = int(sent.more) if sent.more else None
        await self.try_on(interaction, sent.job_id, uploads(interaction, sent, "pictures"), number=number)

    async def _queue(
        self,
        interaction: discord.Interaction,
        name: str,
        build: Callable[[], Awaitable[NewJob]],
        *,
        own_lane: bool = True,
    ) -> None:
        """Queue what is built, for its asker alone if they or the project want that. own_lane: in the lane
        that they have chosen."""
        reading = asyncio.create_task(self._chosen(actor_of(interaction), name))
        try:
            private: bool | None = None  # as long as it can't be read
            with suppress(TimeoutError):
                async with asyncio.timeout(submit.PATIENCE):
                    _unused, private = await asyncio.shield(reading)

            async def built() -> NewJob:
                lane, alone = await reading
                return (await build()).chosen(lane if own_lane else None, private=alone)

            await self._answers.ask(interaction, built, press_key=press_key(interaction), private=private)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _chosen(self, actor: Actor, name: str) -> tuple[Lane | None, bool]:
        """Return the lane that somebody has chosen, and whether they, or the project, want the answer to be
        theirs alone. Raises UserError, NotAllowedError."""
        chosen = await self._studio.own.preferences(actor)
        project = (await self._studio.projects.card(actor, name)).project
        return chosen.lane, chosen.private or project.guild_id is None


NO_VERDICT = N_("That job has no verdict.")


class Verdicts:
    """Takes what people find of verdicts. Answers are for whoever presses alone."""

    def __init__(self, studio: Studio, cards: Cards, cameras: Cameras) -> None:
        self._studio, self._cards = studio, cards
        self.own = {
            "falsealarm": cameras.false_alarm,
            "snooze": cameras.snooze,
            "isright": self._right,
            "iswrong": self._open_wrong,
            "verdict": self._details,
            "project": self._project,
        }

    @answers_privately
    async def _right(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        actor, trying = actor_of(interaction), self._studio.inference
        said = await trying.judged(actor, job.id)
        if not said:
            raise UserError(NO_VERDICT)
        for judged in said:
            noted = await trying.answer(actor, job.id, judged.position, right=True)
        text = (
            noted if len(said) == 1 else _("{verdicts} rated right.", verdicts=counted(len(said), "verdict"))
        )
        await whisper(interaction, text)

    async def _open_wrong(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        actor = actor_of(interaction)
        said = await self._studio.inference.judged(actor, job.id)
        if not said or not isinstance(job.request, ProjectRequest):
            raise UserError(NO_VERDICT)
        found = await self._studio.projects.card(actor, job.request.project)
        if found.project.task == DETECT and len(said) == 1:
            if await acknowledge(interaction, ephemeral=True):
                await self._draw_anew(interaction, job.id, 0)
            return
        strange = len(said) == 1 and said[0].strange
        await interaction.response.send_modal(views.wrong_window(job.id, found, len(said), strange=strange))

    @answers_privately
    async def was_wrong(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Note what a verdict should have been. Raises UserError, NotAllowedError."""
        actor, trying = actor_of(interaction), self._studio.inference
        number = sent.text("number") or "1"
        if not number.isdecimal() or not int(number):
            raise UserError(f"{number[:10]!r} isn't a picture number; the first picture is 1.")
        job = await self._studio.rights.job(actor, sent.job_id, Action.SHOW)
        if isinstance(job.request, ProjectRequest) and job.request.task == DETECT:
            await self._draw_anew(interaction, job.id, int(number) - 1)
            return
        label = views.label_of_window(sent)
        noted = await trying.answer(actor, sent.job_id, int(number) - 1, right=False, label=label)
        assert isinstance(job.request, ProjectRequest)  # or else it had no verdict
        found = await self._studio.projects.card(actor, job.request.project)
        if found.version is None or not found.new or "train" not in found.may:
            await whisper(interaction, noted)
            return
        label = _("Train version {number}", number=found.version.number + 1)
        rows = rows_of(ProjectButton(found.project.id, "train", label=label))
        await Post(noted, rows=rows).answer(interaction)

    async def _draw_anew(self, interaction: discord.Interaction, job_id: str, position: int) -> None:
        """Note that boxes are wrong, and say where to draw them as they should be."""
        actor, trying = actor_of(interaction), self._studio.inference
        noted = await trying.answer(actor, job_id, position, right=False)
        judged = (await trying.judged(actor, job_id))[position]
        found = await self._studio.projects.card(actor, judged.project_id)
        where = f"?picture={judged.sha256}&job={job_id}"
        draw = self._cards.draw(judged.project_id, where) if "label" in found.may else []
        await Post(noted, rows=rows_of(*draw, ProjectButton(judged.project_id, "show"))).answer(interaction)

    @answers_privately
    async def _details(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        result = await self._studio.rights.result(actor_of(interaction), job.id, Action.DETAILS)
        told = {"job": job.id, **result.parameters}
        data = json.dumps(told, indent=2, ensure_ascii=False, default=str).encode()
        table = await self._studio.inference.table(actor_of(interaction), job.id)
        files = (Picture(table, f"verdicts-{job.id}.csv", ""), Picture(data, f"verdict-{job.id}.json", ""))
        await Post(_("All of it, as a table and as JSON:"), files=files).answer(interaction)

    async def _project(self, interaction: discord.Interaction, job: Job, index: int) -> None:
        if not isinstance(job.request, ProjectRequest):
            raise UserError("That job doesn't belong to a project.")
        if await acknowledge(interaction, ephemeral=True):
            await self._cards.show(interaction, job.request.project)


LABELLING = ("skip", "back", "leave", "newlabel", "done")
NOOBJECT_YET = N_("There is no project you can use here yet. `/inspect new` makes one.")
JUDGING = (ANOMALY, CLASSIFY, DETECT)


class ProjectPresses:
    """Projects as an interaction meets them: their parts, buttons and windows. web: as of ``Cards``."""

    def __init__(
        self, studio: Studio, answers: Answers, asking: Asking, questions: Questions, web: str = ""
    ) -> None:
        self._studio, self._questions = studio, questions
        self.cards = cards = Cards(studio, asking, web)
        self.jobs = ProjectJobs(studio, answers, asking, cards)
        self.labelling, self.versions = LabellingQueue(studio, cards), Versions(studio, cards)
        self.cameras = Cameras(studio)
        self.verdicts = Verdicts(studio, cards, self.cameras)
        self._windows = {
            views.ADD: self.cards.added,
            views.TRY: self.jobs.tried,
            views.NAME: self.labelling.named,
            views.CAPTION: self.labelling.captioned,
            views.WRONG: self.verdicts.was_wrong,
            views.MENU_ADD: self._on_menu,
            views.MENU_TRY: self._on_menu,
        }

    async def on_press(
        self, interaction: discord.Interaction, project: str, action: str, more: str, value: str = ""
    ) -> None:
        """Do what a button, or the choice ``value`` in a menu, says of a project. Raises UserError when it
        can't be done, NotAllowedError when the presser may not."""
        if action in LABELLING or action.startswith(MARK):
            await self.labelling.press(interaction, project, action, more, value)
            return
        match action:
            case "add":
                await self.cards.open_add(interaction, project)
            case "try":
                await self.jobs.open_try(interaction, project, number_of(more))
            case "train":
                await self.jobs.train(interaction, project)
            case "bundle":
                await self.jobs.bundle(interaction, project, number_of(more))
            case "look":
                await self.jobs.look_through(interaction, project)
            case "label":
                await self.labelling.start(interaction, project)
            case "captions":
                await self.labelling.captions(interaction, project)
            case "describe":
                await self.labelling.describe(interaction, project)
            case "caption":
                await self.labelling.open_caption(interaction, project, value)
            case "use":
                await self.versions.use(interaction, project, number_of(value or more) or 0)
            case "chart":
                await self.versions.chart(interaction, project, more)
            case "forget":
                await self.cards.forget(interaction, project)
            case _ if action in CAMERAS:
                if await acknowledge(interaction, ephemeral=True):
                    await self.cameras.press(interaction, project, action, more)
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
            first, _unused, second = more.partition("-")
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
        somebody else's."""
        actor = actor_of(interaction)
        found = await self._studio.job_of_message(actor, message.id, Action.USE)
        projects = await self.cards.all(actor, TASKS if what == views.MENU_ADD else JUDGING)
        if not projects:
            raise UserError(NOOBJECT_YET)
        content = await self._questions.pictures_of(actor, message, found)
        draft = await self._studio.talking.keep(actor, content)
        await interaction.response.send_modal(views.menu_window(what, draft, projects))

    async def _on_menu(self, interaction: discord.Interaction, sent: Submission) -> None:
        """Add a message's pictures to the project that was chosen, or try its model on them."""
        adds = sent.what == views.MENU_ADD
        if adds and not await acknowledge(interaction, ephemeral=True):
            return
        content = await self._studio.talking.kept(actor_of(interaction), sent.job_id)
        given, project = self._questions.given_of(interaction, content), sent.chosen("project")
        if adds:
            await self.cards.add(interaction, project, (), sent.text("label"), given)
        else:
            await self.jobs.try_on(interaction, project, (), given)
