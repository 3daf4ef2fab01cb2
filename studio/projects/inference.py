"""A project's model at work: asked about pictures, told when it is wrong, taken elsewhere; and what
``--lora`` names: LoRAs of the host, and styles of members for those who may use them."""

import asyncio
import contextlib
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.errors import ImageError, ModelError, PromptError, UserError
from core.job import Job, Lane
from core.prompt.parser import Prompt
from core.prompt.values import StoredLora, hint, lora_name, stored_lora
from core.requests import GenerateRequest, Request, custom_models
from core.requests.custom_models import (
    MOST_ASKED,
    BundleRequest,
    InspectRequest,
    ProjectRequest,
    TrainRequest,
)
from core.results import TEST, LearnedFrom
from core.settings import Settings
from jobs.executors.base import Device, Executor
from jobs.queue import Result
from storage import job_queries, watches
from storage.projects import dataset, versions
from storage.projects.dataset import Box, Incoming, Mark
from storage.projects.projects import Project
from storage.projects.versions import Judged, StoredFile, Version
from studio.authority import Action, Actor
from studio.media.uploads import Readable
from studio.new_job import NewJob
from studio.projects.dataset import KEPT_PRIVATE, Bringing
from studio.projects.label_formats import plain_text
from studio.projects.projects import DEFECT, GOOD, Access, ProjectLimits, own
from studio.projects.trainings import learned_sentence, version_of
from studio.rights import Rights
from studio.services import Services
from studio.texts import job_name
from vision.lora_training import config
from vision.weights import files, hub

SHOWN_TRIES = 10  # newest ones of a person in a project
TO_MARK = (
    "Saved. The picture is in the project. Draw its boxes correctly, and the next version learns from it."
)
SIDES = ("left", "top", "right", "bottom")  # in 0..1 of the picture's
COLUMNS = ("picture", "version", "score", "strange", "label", "found")


class Trying:
    """What people do with a version."""

    def __init__(
        self, access: Access, rights: Rights, bringing: Bringing, services: Services, limits: ProjectLimits
    ) -> None:
        self._access, self._rights, self._bringing, self._limits = access, rights, bringing, limits
        self._database, self._files, self._queue = services.database, services.files, services.queue

    async def try_(
        self, actor: Actor, name: str, pictures: Sequence[Readable | str], *, number: int | None = None
    ) -> NewJob:
        """Return the job that asks a version (None = the one that is used) about 1 to MOST_ASKED pictures:
        files, pictures of ours by their names, or SHA-256 of what the actor has sent. Raises UserError for
        too many pictures or a model that isn't there, ImageError for a picture that isn't taken,
        NotAllowedError unless the actor may."""
        found, _ = await self._access.find(actor, name, Action.JUDGE)
        version = await self._judging(found, number)
        if not 1 <= len(pictures) <= MOST_ASKED:
            raise UserError(f"There are {len(pictures)} pictures; a try takes 1 to {MOST_ASKED}.")
        sources = await self._bringing.all_of(actor, pictures)
        request = _question(found, version, [source.sha256 for source in sources])
        parent = sources[0].parent if len(sources) == 1 else None
        private = own(found) or any(source.private for source in sources)
        return NewJob(request, Lane.FAST, parent=parent, private=private)

    async def look_through(self, actor: Actor, name: str) -> NewJob:
        """Return the job that asks the version that is used about pictures of the project without a label, at
        most MOST_ASKED: whoever labels is shown those first that it is least sure of. Raises UserError where
        there is no model or nothing for it to look at, NotAllowedError unless the actor may use and label."""
        found, _ = await self._access.find(actor, name, Action.LABEL)
        await self._access.find(actor, found.id, Action.JUDGE)
        version = await self._judging(found, None)
        work = partial(dataset.unjudged, project_id=found.id, number=version.number, limit=MOST_ASKED)
        if not (images := await self._database.read(work)):
            raise UserError(f"Version {version.number} has scanned every picture without a label.")
        return NewJob(_question(found, version, images, explain=False), Lane.RELAX, private=own(found))

    async def question(self, actor: Actor, name: str) -> Callable[[str], NewJob]:
        """Return what makes the job, of the lowest lane, that asks the version in use about a picture that
        came by itself (SHA-256). Raises UserError where there is no model, NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.JUDGE)
        version = await self._judging(found, None)
        return lambda sha256: NewJob(
            _question(found, version, [sha256]), Lane.RELAX, private=own(found), own_words=False
        )

    async def tries(self, actor: Actor, name: str) -> list[tuple[Job, Result | None]]:
        """Return by which jobs the actor asked a project's versions, the newest first, and what they said,
        None where that is nothing (yet). Raises UserError or NotAllowedError."""
        found, _ = await self._access.find(actor, name, Action.JUDGE)
        work = partial(job_queries.newest_about, user_id=actor.user_id, kind=InspectRequest.kind)
        work = partial(work, about=found.id, limit=SHOWN_TRIES)
        return [(job, await self._queue.result(job.id)) for job in await self._database.read(work)]

    async def judged(self, actor: Actor, job_id: str) -> list[Judged]:
        """Return the verdicts of a job, in the order of its pictures. Raises ImageError where there is no
        such job, NotAllowedError unless the actor may look at it."""
        await self._rights.job(actor, job_id, Action.SHOW)
        return await self._database.read(partial(versions.read_verdicts, job_id=job_id))

    async def found(self, actor: Actor, job_id: str, sha256: str) -> list[Box]:
        """Return what a detector found in a picture of a job, as boxes in 0..1, none where it found nothing
        or isn't one. Raises ImageError where there is no such job, NotAllowedError unless the actor may look
        at it."""
        said, told = await self._verdicts(actor, job_id)
        position = next((one.position for one in said if one.sha256 == sha256), len(told))
        regions = told[position].get("regions", ()) if position < len(told) else ()
        return [
            (str(one["label"]), left, top, right, bottom)
            for one in regions
            if one.get("label")
            for left, top, right, bottom in [[float(one[side]) for side in SIDES]]
        ]

    async def answer(self, actor: Actor, job_id: str, position: int, *, right: bool, label: str = "") -> str:
        """Say whether the verdict on picture ``position`` (from 0) of a job is right, and return a sentence.

        label: what the picture is called instead; by somebody who may add and label, it becomes a picture of
        the project with that label, of a detector one without boxes yet. Of an inspection that stopped a good
        part, that is "good" unless another is named, and "defect" of a camera's picture that was rightly
        stopped. Raises ImageError where there is no such verdict, UserError for a label that isn't taken,
        NotAllowedError unless the actor may look at the job and use the project.
        """
        job = await self._rights.job(actor, job_id, Action.RATE)
        request = job.request
        if not isinstance(request, ProjectRequest):
            raise ImageError(f"Job `{job_id}` has no verdict; it is “{job_name(request)}”.")
        found, one = await self._access.find(actor, request.project, Action.JUDGE)
        said = await self._database.read(partial(versions.read_verdicts, job_id=job_id))
        judged = next((each for each in said if each.position == position), None)
        if judged is None:
            raise ImageError(f"Job `{job_id}` has no verdict number {position + 1}.")
        note = partial(
            versions.answer_verdict, job_id=job_id, position=position, is_right=right, user_id=actor.user_id
        )
        false_alarm = not right and found.task == custom_models.ANOMALY and judged.strange
        watched = await self._database.read(partial(watches.read_picture, job_id=job_id))
        confirmed = right and watched is not None and judged.strange
        called = label or (GOOD if false_alarm else DEFECT if confirmed else "")
        finds = not right and found.task == custom_models.DETECT
        if not called and not finds:
            await self._database.write(note)
            return "Saved." if right else "Saved. Say what it is, and the next version learns from it."
        may_add = await self._access.may(actor, Action.ADD_TO, found)
        if not may_add or not await self._access.may(actor, Action.LABEL, found):
            await self._database.write(note)
            return "Saved. Someone with permission to add and label pictures can train it on this one."
        if job.origin.private and found.guild_id is not None:
            raise ImageError(f"The picture {KEPT_PRIVATE}")
        if finds:
            await self._teach(one, found, judged, "", note)
            return TO_MARK
        known = await self._access.read_labels(one, found, [called])
        return await self._teach(one, found, judged, known[called], note)

    async def _teach(
        self, actor: Actor, found: Project, judged: Judged, label: str, note: partial[Judged | None]
    ) -> str:
        now = datetime.now(UTC)

        def work(connection: sa.Connection) -> bool:
            note(connection)
            coming = [Incoming(judged.sha256, label)]
            most = self._limits.pictures
            added = dataset.add_items(connection, found.id, actor.user_id, coming, most=most, now=now)
            if added.known and label:
                dataset.mark_item(connection, found.id, judged.sha256, Mark(actor.user_id, label), now=now)
            return not added.over

        if not await self._database.write(work):
            return f"Saved. The project has {self._limits.pictures:,} pictures, so this one wasn't added."
        version = await self._database.read(partial(versions.read_version, project_id=found.id))
        if version is None:
            return "Saved."
        newer = partial(versions.new_since, project_id=found.id, asked_at=version.asked_at)
        new = await self._database.read(newer)
        return f"Saved; {new} new since version {version.number}."

    async def table(self, actor: Actor, job_id: str) -> bytes:
        """Return the verdicts of a job as CSV. Raises ImageError where there are none,
        NotAllowedError as ``judged`` does."""
        said, told = await self._verdicts(actor, job_id)
        if not said:
            raise ImageError(f"Job `{job_id}` has no verdicts.")
        return table_of(said, told)

    async def _verdicts(self, actor: Actor, job_id: str) -> tuple[list[Judged], Sequence[Mapping[str, Any]]]:
        """Return the verdicts of a job, and the same as its result has them."""
        said, result = await self.judged(actor, job_id), await self._queue.result(job_id)
        return said, result.parameters.get("verdicts", ()) if result else ()

    # To take it elsewhere

    async def bundle(self, actor: Actor, name: str, number: int | None = None) -> NewJob:
        """Return the job that makes the zip file by which a version (None = the one that is used) runs
        elsewhere. Raises UserError for one that isn't there, NotAllowedError unless the actor may."""
        found, _ = await self._access.find(actor, name, Action.EXPORT)
        version = await self._usable(found, number)
        work = partial(versions.learned_from, project_id=found.id, number=version.number)
        learned = await self._database.read(work)
        sentence = learned_sentence(version)
        request = BundleRequest(
            project=found.id,
            task=found.task,
            version=version.number,
            artefact=str(version.artefact),
            name=found.name,
            limit=version.threshold or 0.0,
            images=golden(learned),
            figures=(sentence,) if sentence else (),
        )
        return NewJob(request, Lane.FAST, private=own(found))

    async def files(self, actor: Actor, job_id: str) -> list[tuple[StoredFile, bytes]]:
        """Return the files that a job has made to be taken elsewhere. Raises ImageError where there is no
        such job, NotAllowedError unless the actor may look at it and take away what is in its project."""
        job = await self._rights.job(actor, job_id, Action.SHOW)
        if isinstance(job.request, ProjectRequest):
            await self._access.find(actor, job.request.project, Action.EXPORT)
        found = await self._database.read(partial(versions.files_of, job_id=job_id))
        return [(one, await self._files.get(one.sha256)) for one in found]

    async def style(self, actor: Actor, name: str) -> tuple[Project, Version]:
        """Return a style and its version that is used. Raises UserError where there is none,
        NotAllowedError unless the actor may."""
        found, _ = await self._access.find(actor, name, Action.JUDGE)
        if found.task != custom_models.STYLE:
            raise UserError(f"{found.name} isn't a style.")
        return found, await self._usable(found, None)

    async def styles(self, actor: Actor) -> list[Project]:
        """Return the styles with a version in use that the actor may draw with where they are. Raises
        NotAllowedError."""
        found = [one for one in await self._access.all(actor) if one.task == custom_models.STYLE]
        usable = []
        for one in found:
            version = await self._database.read(partial(versions.read_version, project_id=one.id))
            if version is not None and await self._access.may(actor, Action.JUDGE, one):
                usable.append(one)
        return usable

    async def _judging(self, found: Project, number: int | None) -> Version:
        """Return a version that can be asked about pictures. Raises UserError."""
        version = await self._usable(found, number)
        if found.task == custom_models.STYLE:
            raise UserError("A style can't judge pictures. Use it with `--lora` to draw.")
        return version

    async def _usable(self, found: Project, number: int | None) -> Version:
        """Return a version whose file is there. Raises UserError."""
        version = await version_of(self._database, found, number)
        if version.artefact is None or version.state == versions.TAINTED:
            raise UserError(
                f"Version {version.number} of {found.name} can't be used any more: it is too old, or what it"
                " had learned from was deleted."
            )
        return version


def _question(
    found: Project, version: Version, images: Sequence[str], *, explain: bool = True
) -> InspectRequest:
    """Return what asks a version about pictures, each once."""
    return InspectRequest(
        project=found.id,
        task=found.task,
        version=version.number,
        artefact=str(version.artefact),
        images=tuple(dict.fromkeys(images)),
        limit=version.threshold or 0.0,
        explain=explain,
    )


def golden(learned: Sequence[LearnedFrom]) -> tuple[str, ...]:
    """Return pictures that a bundle is proven with: one of each label in turn, first those that weren't
    learned from."""
    by_label: dict[str, list[str]] = {}
    for one in sorted(learned, key=lambda one: (one.part != TEST, one.sha256)):
        by_label.setdefault(one.label, []).append(one.sha256)
    turns = range(max(map(len, by_label.values()), default=0))
    found = [names[turn] for turn in turns for _, names in sorted(by_label.items()) if turn < len(names)]
    return tuple(found[: custom_models.MOST_GOLDEN])


def table_of(said: Sequence[Judged], told: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return verdicts as CSV, a line each below COLUMNS. told: the same as their job's result has them; where
    they are objects that were found, each has a line with its place, below COLUMNS and SIDES."""
    regions = [list(one.get("regions", ())) for one in told]
    finds = any(region.get("label") for some in regions for region in some)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*COLUMNS, *SIDES) if finds else COLUMNS)
    for one in said:
        answer = {None: "", True: "right", False: "wrong"}[one.is_right]
        head = (one.position + 1, one.number)
        if not finds:
            writer.writerow((*head, f"{one.score:.6g}", int(one.strange), plain_text(one.label), answer))
            continue
        for region in regions[one.position] if one.position < len(regions) else ():
            sides = (f"{region[side]:.6g}" for side in SIDES)
            row = (f"{region['score']:.6g}", int(one.strange), plain_text(str(region["label"])), answer)
            writer.writerow((*head, *row, *sides))
    return out.getvalue().encode()


class Styles:
    """Finds what ``--lora`` names."""

    def __init__(self, settings: Settings, trying: Trying, executor: Executor) -> None:
        self._settings, self._trying, self._executor = settings, trying, executor

    async def ready(self, actor: Actor, prompt: Prompt) -> Prompt:
        """Return a prompt with LoRAs as the host spells them, and with styles as requests name them, whose
        words stand in the prompt then. Raises PromptError for one that is unknown, NotAllowedError for a
        style that the actor may not use."""
        loras: list[tuple[str, float]] = []
        for name, weight in prompt.loras:
            if any(one.lower() == name.lower() for one in self._settings.loras):
                loras.append((configured("LoRA", name, self._settings.loras), weight))
                continue
            stored, found = await self._named(actor, name)
            loras.append((str(stored), weight))
            prompt = _with_words(prompt, found.words)
        return replace(prompt, loras=tuple(loras))

    async def offered(self, actor: Actor) -> list[str]:
        """Return the styles that the actor may use where they are, as ``--lora`` names them."""
        try:
            return [lora_name(found.name) for found in await self._trying.styles(actor)]
        except UserError:  # who may see none is offered none
            return []

    async def check(self, actor: Actor, request: Request) -> None:
        """Raise NotAllowedError unless the actor may use every style of a request, whoever asked for it
        first, UserError for one that can't be used any more, and for a training of a style that no device
        here has the memory for."""
        if isinstance(request, TrainRequest) and request.task == custom_models.STYLE:
            ready = [device for device in self._executor.devices if device.memory]
            await asyncio.to_thread(self._check_memory, request, ready)
        for style in request.styles if isinstance(request, GenerateRequest) else ():
            await self._trying.style(actor, style.project)

    def _check_memory(self, request: TrainRequest, ready: Sequence[Device]) -> None:
        """Raise UserError, with the number, where the largest device is too small. What can't be told before,
        the worker tells."""
        settings = self._settings
        spec = settings.image_models.get(request.model or "", request.model or settings.models["image"])
        with contextlib.suppress(ModelError):
            source = files.parse(spec)
            path = hub.find_downloaded(source, settings.data_dir / "cache")
            planned = path and config.settings_for(path, request.words, request.count)
            if path and planned and ready:
                largest = max(ready, key=lambda device: device.memory)
                itemsize = 4 if "32" in settings.dtype or largest.name.startswith("cpu") else 2
                config.refuse_memory(path, source.name, planned, itemsize, largest.memory)

    async def _named(self, actor: Actor, name: str) -> tuple[StoredLora, Project]:
        stored = stored_lora(name)
        wanted = [stored.project] if stored else list(dict.fromkeys((name, name.replace("-", " "))))
        for one in wanted:
            try:
                found, version = await self._trying.style(actor, one)
            except UserError:
                continue
            return StoredLora(lora_name(found.name), found.id, str(version.artefact)), found
        configured("LoRA", name, self._settings.loras)  # which says what there is
        raise PromptError(f"There is no LoRA `{name}` here.")


def _with_words(prompt: Prompt, words: str) -> Prompt:
    """Return a prompt that has a style's words, in its first part where it has several."""
    if not words or words.lower() in prompt.text.lower():
        return prompt
    first, *rest = prompt.parts or ((prompt.text, 1.0),)
    more = (f"{first[0]}, {words}" if first[0] else words, first[1])
    text = f"{prompt.text}, {words}" if prompt.text else words
    return replace(prompt, text=text, parts=(more, *rest) if prompt.parts else ())


def configured(kind: str, name: str, known: Mapping[str, str]) -> str:
    """Return a name as the host spells it. Raises PromptError, with what there is, for one that is not in
    ``known``."""
    for one in known:
        if one.lower() == name.lower():
            return one
    there = f"It takes {', '.join(known)}." if known else "The operator hasn't set up any."
    raise PromptError(
        f"There is no {kind} `{name}` here. {there}{hint(name.lower(), [one.lower() for one in known])}"
    )
