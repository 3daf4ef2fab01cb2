"""Versions of a project's model in Discord: reported on, chosen, made stricter or looser, compared; and what
the messages of jobs say that made one, asked it, or packed it to run elsewhere.

Which pictures come along is for ``bot.posts`` to decide.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import discord

from bot.discord_api.interactions import acknowledge, actor_of
from bot.projects import views
from bot.projects.cameras import alarm
from bot.projects.cards import Cards
from bot.projects.taste_loras import LoraButton
from bot.projects.views import ProjectButton, ProjectMenu
from bot.ui import messages
from bot.ui.buttons import JobButton, Rows, rows_of
from bot.ui.layout import BAD, GOOD, Picture
from bot.ui.messages import fit_message, notes_of, quote
from bot.ui.replies import Post, answers_privately, whisper
from core.errors import UserError
from core.language import N_, _
from core.prompt.values import OWN
from core.requests.base import Answer
from core.requests.custom_models import ANOMALY, DETECT, STYLE, ProjectRequest
from jobs.queue import Result
from storage import taste_loras, watches
from storage.blobs.base import EXTENSIONS, Files
from storage.database import Database
from storage.projects import projects, versions
from storage.projects.projects import Project
from storage.projects.versions import ACTIVE, TAINTED, Version
from studio.authority import Actor
from studio.projects.trainings import MOVES, learned_sentence, promise_of
from studio.projects.watches import rate_text
from studio.studio import Studio
from studio.texts import counted

REPORT, MISTAKES = "report", "mistakes"  # charts
MOST_CHARTS = 10  # that have a button
KEEP = "keep"  # begins the action that keeps a move


class Versions:
    """Says what versions are worth, and chooses among them. Answers are for whoever asks alone."""

    def __init__(self, studio: Studio, cards: Cards) -> None:
        self._studio, self._cards = studio, cards

    async def report(self, interaction: discord.Interaction, name: str, number: int | None = None) -> None:
        """Show what is known of a version (None = the one in use); the interaction was deferred. Raises
        UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.card(actor, name)
        report = await self._studio.training.report(actor, name, number)
        pictures: tuple[Picture, ...] = ()
        if REPORT in report.charts:
            pictures = (await self._chart(actor, name, report.version.number, REPORT),)
        content = f"{views.report(found.project, report)}\n➡️ {views.next_step(found)}"
        project, of_version = found.project.id, report.version.number
        charts = [chart for chart in report.charts if chart != REPORT][:MOST_CHARTS]
        rows = rows_of(
            ProjectButton(project, "try", of_version, row=0),
            ProjectButton(project, "bundle", of_version, row=0),
            ProjectButton(project, "show", row=0),
            *(
                ProjectButton(project, "chart", f"{of_version}-{one}", label=_called(one), row=1 + place // 5)
                for place, one in enumerate(charts)
            ),
        )
        await Post(content, pictures, rows).answer(interaction)

    async def chart(self, interaction: discord.Interaction, project: str, more: str) -> None:
        """Show one chart of a version's report. more: "3-confusion". Raises UserError, NotAllowedError."""
        if not await acknowledge(interaction, ephemeral=True):
            return
        number, _unused, chart = more.partition("-")
        picture = await self._chart(actor_of(interaction), project, int(number), chart)
        await Post(_("{chart} of version {number}", chart=_called(chart), number=number), (picture,)).answer(
            interaction
        )

    async def _chart(self, actor: Actor, name: str, number: int, chart: str) -> Picture:
        data, media_type = await self._studio.training.chart(actor, name, number, chart)
        file = f"{chart}-{number}.{EXTENSIONS[media_type]}"
        return Picture(data, file, _("{chart} of version {number}", chart=_called(chart), number=number))

    async def list(self, interaction: discord.Interaction, name: str) -> None:
        """Show a project's versions, with a menu that chooses one; the interaction was deferred. Raises
        UserError, NotAllowedError."""
        actor = actor_of(interaction)
        found = await self._studio.projects.card(actor, name)
        versions = await self._studio.training.versions(actor, name)
        usable = {
            str(one.number): _("Use version {number}", number=one.number)
            for one in versions
            if one.artefact and one.state not in (ACTIVE, TAINTED)
        }
        items: list[discord.ui.Item[Any]] = []
        if usable and "train" in found.may:
            items.append(
                ProjectMenu(found.project.id, "use", "", usable, hint=_("Use another version"), row=0)
            )
        if len(versions) > 1:
            new, old = versions[0].number, versions[1].number
            label = _("Compare {new} with {old}", new=new, old=old)
            items.append(ProjectButton(found.project.id, "compare", f"{old}-{new}", label=label, row=1))
        rows = rows_of(*items) if items else self._cards.rows(found)
        await Post(views.versions(found.project, versions), rows=rows).answer(interaction)

    @answers_privately
    async def use(self, interaction: discord.Interaction, project: str, number: int) -> None:
        """Let a version be the one in use. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        await self._studio.training.use(actor, project, number)
        found = await self._studio.projects.card(actor, project)
        content = _(
            "Version {number} is in use from now on.\n{found}", number=number, found=views.card(found)
        )
        await Post(content, rows=self._cards.rows(found)).answer(interaction)

    async def compare(self, interaction: discord.Interaction, name: str, first: int, second: int) -> None:
        """Say which of two versions is better; the interaction was deferred. Raises UserError,
        NotAllowedError."""
        actor = actor_of(interaction)
        await whisper(interaction, await self._studio.training.compare(actor, name, first, second))

    async def move(
        self,
        interaction: discord.Interaction,
        name: str,
        move: str,
        number: int | None,
        *,
        keep: bool = False,
    ) -> None:
        """Say what a stricter, looser or the usual limit would change, or keep it; the interaction was
        deferred. Raises UserError, NotAllowedError."""
        actor = actor_of(interaction)
        moved = await self._studio.training.threshold(actor, name, move, number, keep=keep)
        found = await self._studio.projects.card(actor, name)
        used = number or (found.version.number if found.version else 0)
        if keep:
            content = _(
                "Saved: version {used} uses the new limit from now on. {sentence}",
                used=used,
                sentence=moved.sentence,
            )
            await Post(content, rows=_moves(found.project.id, used, "")).answer(interaction)
            return
        content = _(
            "{move}: {sentence}\nNothing has changed yet.", move=_called(move), sentence=moved.sentence
        )
        await Post(content, rows=_moves(found.project.id, used, move)).answer(interaction)


def for_trained(project: str, number: int, task: str, charts: Collection[str], *, in_use: bool) -> Rows:
    """Return what can be done with a version that was trained. charts: names of its report's."""
    use = [] if in_use else [ProjectButton(project, "use", number, next_step=True, row=0)]
    more = [ProjectButton(project, "bundle", number, row=1), ProjectButton(project, "report", number, row=1)]
    if task == "style":
        return rows_of(*use, *more, ProjectButton(project, "captions", row=1))
    tried = ProjectButton(project, "try", number, next_step=in_use, row=0)
    limits = ("stricter", "looser") if task in (ANOMALY, DETECT) else ()
    moves = [ProjectButton(project, move, number, row=0) for move in limits]
    mistakes = ProjectButton(project, "chart", f"{number}-{MISTAKES}", label=_called(MISTAKES), row=1)
    return rows_of(tried, *use, *moves, *([mistakes] if MISTAKES in charts else []), *more)


def _moves(project: str, number: int, move: str) -> Rows:
    """Return the other moves, and for one that was shown what keeps it."""
    keep = [ProjectButton(project, f"{KEEP}{move}", number)] if move else []
    return rows_of(*keep, *(ProjectButton(project, other, number) for other in MOVES if other != move))


def _called(chart: str) -> str:
    known = {"roc": "ROC", "pr": _("Precision and recall"), "scores": _("Scores")}
    return known.get(chart, chart.replace("-", " ").capitalize())


def number_of(more: str) -> int | None:
    """Return the version that a button names, None = the one in use. Raises UserError for none."""
    if more and not more.isdigit():
        raise UserError("This button names no version.")
    return int(more) if more else None


GONE = N_("The project was deleted meanwhile.")
MOST_LINES, MOST_REGIONS = 12, 5  # pictures, and places of one, that a message names
PLACES = ("left", "middle", "right"), ("top", "middle", "bottom")


class OwnPosts:
    """Makes these messages, and what is attached. web: the address of the studio on the web, "" = none."""

    def __init__(self, database: Database, files: Files, web: str = "") -> None:
        self._database, self._files, self._web = database, files, web
        self._made = {Answer.MODEL: self._learned, Answer.VERDICTS: self._judged, Answer.FILES: self._packed}

    async def result(self, result: Result, limit: int) -> Post:
        """Return the message of a finished job, files of at most ``limit`` bytes with it, without its
        pictures."""
        request = result.job.request
        assert isinstance(request, ProjectRequest)
        project = await self._database.read(partial(projects.read_project, project_id=request.project))
        if project is None:
            return Post(fit_message(f"{messages.title(result.job)}\n{_(GONE)}\n-# job {result.job.id}"))
        return await self._made[request.answer](result, project, limit)

    async def _learned(self, result: Result, project: Project, limit: int) -> Post:
        job = result.job
        version = await self._database.read(partial(versions.read_version_of_job, job_id=job.id))
        if version is None:
            return Post(fit_message(f"{messages.title(job)}\n{_(GONE)}\n-# job {job.id}"))
        lines = [
            _(
                "{job}\n{project} · version {number}",
                job=messages.title(job),
                project=views.name(project),
                number=version.number,
            )
        ]
        lines += [quote(one, 400) for one in sentences(version)]
        in_use = version.state == ACTIVE
        made_of = await self._database.read(partial(taste_loras.of_project, project_id=project.id))
        if made_of is not None:
            after = _("It acts with `--p` once you choose it blind.")
        elif project.task == STYLE:
            how = f"`/imagine prompt:a boat --lora {project.name}`"
            after = (
                _("It is in use: {how}", how=how) if in_use else _("Press **Use it**, then {how}", how=how)
            )
        elif in_use:
            after = _("It is in use. Press **Try** and give it a picture.")
        else:
            after = _("Press **Try**, or **Use it** to replace the version in use.")
        lines.append(f"➡️ {after}")
        content = "\n".join([*lines, *notes_of(result.parameters), f"-# job {job.id}"])
        work = partial(versions.charts, project_id=project.id, number=version.number)
        charts = [name for name, _unused, _unused in await self._database.read(work)]
        rows = for_trained(project.id, version.number, project.task, charts, in_use=in_use)
        if made_of is not None:
            rows = rows_of(LoraButton(made_of.folder_id or OWN, "open"))
        return Post(fit_message(content), rows=rows)

    async def _judged(self, result: Result, project: Project, limit: int) -> Post:
        job, said = result.job, result.parameters.get("verdicts", ())
        seen = await self._database.read(partial(watches.read_picture, job_id=job.id))
        if seen is not None and said:
            of_version = partial(versions.read_version, project_id=project.id, number=seen.number)
            so_far = partial(watches.count_seen, project_id=project.id, number=seen.number)
            version = await self._database.read(of_version)
            rate = rate_text(version.promise if version else None, await self._database.read(so_far))
            return alarm(result, project, seen, [*_one(said[0]), f"-# {quote(rate, 300)}"])
        number = result.parameters.get("version", getattr(job.request, "version", 0))
        work = partial(versions.read_version, project_id=project.id, number=number)
        version = await self._database.read(work)
        lines = _one(said[0]) if len(said) == 1 else _several(said, project)
        doubts = [] if version is None else [f"-# ⚠️ {quote(one, 300)}" for one in weaknesses(version)]
        head = (
            lines[:1]
            + [
                _(
                    "-# {job} · {project} version {number}",
                    job=messages.title(job),
                    project=views.name(project),
                    number=number,
                )
            ]
            + lines[1:]
        )
        content = "\n".join([*head, *doubts, *notes_of(result.parameters), f"-# job {job.id}"])
        rows = rows_of(
            *(JobButton(job.id, action, row=0) for action in ("isright", "iswrong", "verdict")),
            ProjectButton(project.id, "try", number, label=_("Try another"), row=0),
            JobButton(job.id, "delete", row=0),
        )
        strange = any(one["strange"] for one in said)
        accent = None if project.task == DETECT else BAD if strange else GOOD  # a detector only counts
        return Post(fit_message(content), rows=rows, accent=accent)

    async def _packed(self, result: Result, project: Project, limit: int) -> Post:
        job = result.job
        found = await self._database.read(partial(versions.files_of, job_id=job.id))
        small = [one for one in found if one.size <= limit]
        version = _(
            "{project} version {request}",
            project=views.name(project),
            request=getattr(job.request, "version", 0),
        )
        said = (
            _("{version}: a LoRA file with a card that explains how to load it.", version=version)
            if project.task == STYLE
            else _(
                "{version}, to run elsewhere without this studio: unzip it, and `python "
                "predict.py pictures/` judges a folder. README and model card are in it.",
                version=version,
            )
        )
        lines = [f"{messages.title(job)}\n{said}"]
        for one in found:
            if one not in small:
                page = f"{self._web}/projects/{project.id}"
                where = (
                    " " + _("Get it from the project's page on the web: {page}", page=page)
                    if self._web
                    else ""
                )
                size = f"{one.size / 2**20:.1f} MB"
                lines.append(
                    _(
                        "{name} has {size}, which is too large for a message here.{where}",
                        name=quote(one.name, 80),
                        size=size,
                        where=where,
                    )
                )
        files = tuple([Picture(await self._files.get(one.sha256), one.name, "") for one in small])
        content = "\n".join([*lines, *notes_of(result.parameters), f"-# job {job.id}"])
        return Post(fit_message(content), rows=rows_of(JobButton(job.id, "delete")), files=files)


def sentences(version: Version) -> list[str]:
    """Return what there is to say of a version, in the order of its weight."""
    said = [promise_of(version), learned_sentence(version)]
    return [*(one for one in said if one), *(f"⚠️ {one}" for one in weaknesses(version))]


def weaknesses(version: Version) -> list[str]:
    """Return what a version says itself that it can't do."""
    found = []
    if version.metrics.get("weak"):
        found.append(_("It is weak on these pictures: check what it lets through before you rely on it."))
    if unsure := version.metrics.get("unsure"):
        found.append(_("It may miss {str}.", str=", ".join(map(str, unsure))))
    return found


def _one(said: Mapping[str, Any]) -> list[str]:
    """Return the lines of one verdict, the verdict itself first."""
    lines = [f"**{quote(str(said['sentence']), 500)}**"]
    names = [f"{quote(str(label), 60)} {chance:.0%}" for label, chance in said.get("names", ())[:3]]
    if len(names) > 1 and not any(one.get("label") for one in said.get("regions", ())):
        lines.append(f"-# {' · '.join(names)}")
    regions = said.get("regions", ())
    lines += [f"-# {number}: {_region(one)}" for number, one in enumerate(regions[:MOST_REGIONS], 1)]
    if len(regions) > MOST_REGIONS:
        lines.append(
            _("-# and {regions} more; **Details** has them all", regions=len(regions) - MOST_REGIONS)
        )
    return lines


def _region(one: Mapping[str, Any]) -> str:
    across = PLACES[0][min(2, int(3 * (one["left"] + one["right"]) / 2))]
    down = PLACES[1][min(2, int(3 * (one["top"] + one["bottom"]) / 2))]
    where = "middle" if across == down == "middle" else f"{down} {across}".replace("middle ", "")
    if one.get("label"):
        return f"{quote(str(one['label']), 60)} {one['score']:.0%}, {where}"
    return _(
        "{where}, {ratio:.1f} × the limit, {max:.1%} of the picture",
        where=where,
        ratio=one["ratio"],
        max=max(0.001, one["area"]),
    )


def _several(said: Sequence[Mapping[str, Any]], project: Project) -> list[str]:
    """Return the lines of several verdicts, each picture with its number."""
    order = list(enumerate(said, 1))
    if project.task == DETECT:
        objects = sum(len(one.get("regions", ())) for one in said)
        lines = [_("**{objects} in {said} pictures**", objects=counted(objects, "object"), said=len(said))]
    else:
        strange = sum(bool(one["strange"]) for one in said)
        what = (
            _("**{strange} of {said} pictures not like the good ones**")
            if project.task == ANOMALY
            else _("**{strange} of {said} pictures like none of the labels**")
        )
        lines = [what.format(strange=strange, said=len(said))]
        order.sort(key=lambda pair: not pair[1]["strange"])
    lines += [f"-# {n}: {quote(str(one['sentence']), 90)}" for n, one in order[:MOST_LINES]]
    if len(said) > MOST_LINES:
        lines.append(_("-# and {said} more; **Details** has them all", said=len(said) - MOST_LINES))
    return lines
