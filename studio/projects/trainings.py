"""Versions of a project's model: trained, reported on, chosen, made stricter or looser, compared; trained
again without deleted pictures, and their files given up when nobody uses them."""

import asyncio
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.errors import ImageError, StorageError, UserError
from core.job import NOBODY, Lane, Origin, Status, Surface
from core.language import _
from core.profiles import NO_TRAINING
from core.requests import from_json
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, STYLE, TrainRequest
from core.results import TEST, LearnedFrom
from jobs.queue import Queue
from storage.database import Database
from storage.projects import dataset, projects, versions
from storage.projects.dataset import Counts
from storage.projects.projects import Gone, Project
from storage.projects.versions import Tally, Version
from studio.authority import Action, Actor
from studio.new_job import NewJob
from studio.privacy import Privacy
from studio.projects.projects import GOOD, LEAST_MARKED, NO_GOOD, Access, ProjectLimits, few_marked, own
from studio.rights import Rights
from studio.services import Services
from vision.custom_models import thresholds as limits

LEAST_GOOD, LEAST_LABELLED, LEAST_STYLE, MOST_STYLE = 1, 3, 5, 40  # pictures
_PROMISED = re.compile(r"(?:Of 100 good parts|It stops about)[^.]*\.\s*")  # the former in older versions
MOVES = ("usual", "stricter", "looser", "fewest")
LEAST_JUDGED, UNLIKELY = 20, 0.01  # verdicts, and the chance of so many strange ones, for a warning
ROUNDED = 1e-4  # of a score, as its model tells it
SURE = 0.05  # chance by which two versions are told apart


@dataclass(frozen=True)
class Report:
    """What is known of a version. parts: how many pictures of each label it learned from and was tested on,
    part → label → count. charts: names. sentences: for people, the most important one first. exact: what is
    promised, with its interval, for those who ask."""

    version: Version
    parts: Mapping[str, Mapping[str, int]]
    charts: tuple[str, ...]
    sentences: tuple[str, ...]
    exact: str = ""


@dataclass(frozen=True)
class Moved:
    """What another threshold means. promise: share of good parts that it stops at most, None where it
    promises nothing. stopped, found: of the pictures that were kept for testing, good ones that would be
    stopped, and defects that would be found, each with how many there are. before: the same as it is now.
    told: the sentence of a model that finds objects, "" of others."""

    threshold: float
    promise: float | None
    stopped: tuple[int, int]
    found: tuple[int, int]
    before: tuple[tuple[int, int], tuple[int, int]] = field(default=((0, 0), (0, 0)))
    kept: bool = False
    told: str = ""

    @property
    def sentence(self) -> str:
        """What changes, for people."""
        if self.told:
            return self.told
        (was_stopped, _unused), (was_found, _unused) = self.before
        parts = [_("It gives no guarantee about good parts.")]
        if self.promise:
            parts = [limits.promise_sentence(self.promise)]
        if self.stopped[1]:
            parts.append(
                _(
                    "{stopped} of {stopped2} good test pictures are stopped ({was_stopped} now).",
                    stopped=self.stopped[0],
                    stopped2=self.stopped[1],
                    was_stopped=was_stopped,
                )
            )
        if self.found[1]:
            parts.append(
                _(
                    "{found} of {found2} defects among them are found ({was_found} now).",
                    found=self.found[0],
                    found2=self.found[1],
                    was_found=was_found,
                )
            )
        return " ".join(parts)


class Training:
    """What people do with versions."""

    def __init__(self, access: Access, rights: Rights, services: Services, limits: ProjectLimits) -> None:
        self._access, self._rights, self._limits = access, rights, limits
        self._database, self._files = services.database, services.files
        self._moderator = services.moderator

    async def train(self, actor: Actor, name: str, *, seed: int = 0, pixels: int = 256) -> NewJob:
        """Return the job that trains a project's next version. Raises UserError, in one sentence, where there
        are too few pictures, NotAllowedError unless the actor may; how many trainings may wait is asked when
        it is queued."""
        found, _unused = await self._access.find(actor, name, Action.TRAIN)
        if not self._limits.trains and found.task != STYLE:
            raise UserError(NO_TRAINING)
        counts = await self._database.read(partial(dataset.count_items, project_id=found.id))
        check_enough(found, counts)
        labelled = counts.total if found.task == STYLE else counts.states.get(dataset.LABELLED, 0)
        request = TrainRequest(
            project=found.id,
            task=found.task,
            alike=found.alike,
            pixels=pixels,
            seconds=self._limits.seconds,
            seed=seed,
            count=labelled,
            words=found.words,
        )
        return NewJob(request, Lane.RELAX, private=own(found))

    async def versions(self, actor: Actor, name: str) -> list[Version]:
        """Return a project's versions, the newest first. Raises UserError or NotAllowedError."""
        found, _unused = await self._access.find(actor, name, Action.SEE_PROJECT)
        return await self._database.read(partial(versions.list_versions, project_id=found.id))

    async def trained(self, actor: Actor, job_id: str) -> Version | None:
        """Return the version that a training has made, None where it has made none. Raises ImageError where
        there is no such job, UserError or NotAllowedError unless the actor may look at both."""
        await self._rights.job(actor, job_id, Action.SHOW)
        version = await self._database.read(partial(versions.read_version_of_job, job_id=job_id))
        if version is None:
            return None
        await self._access.find(actor, version.project_id, Action.SEE_PROJECT)
        return version

    async def report(self, actor: Actor, name: str, number: int | None = None) -> Report:
        """Return what is known of a version, None = the one that is used. Raises UserError where there is
        none such, NotAllowedError unless the actor may look at the project."""
        found, _unused = await self._access.find(actor, name, Action.SEE_PROJECT)
        version = await version_of(self._database, found, number)
        number = version.number
        work = partial(versions.learned_from, project_id=found.id, number=number)
        learned = await self._database.read(work)
        charts = await self._database.read(partial(versions.charts, project_id=found.id, number=number))
        parts: dict[str, Counter[str]] = {}
        for one in learned:
            parts.setdefault(one.part, Counter())[one.label] += 1
        tally = await self._database.read(partial(versions.tally, project_id=found.id, number=number))
        sentences = [promise_of(version), learned_sentence(version), *_told(version)]
        sentences.append(drift(tally, version.promise))
        told = tuple(sentence for sentence in sentences if sentence)
        counted = {part: dict(sorted(labels.items())) for part, labels in sorted(parts.items())}
        good = len(set(version.metrics.get("good_groups", ()))) or len(version.metrics.get("good_scores", ()))
        exact = limits.exact_promise(version.promise, good) if version.promise and good else ""
        return Report(version, counted, tuple(chart for chart, _unused, _unused in charts), told, exact)

    async def chart(self, actor: Actor, name: str, number: int, chart: str) -> tuple[bytes, str]:
        """Return a picture of a version's report and its media type. Raises ImageError where there is none
        such, NotAllowedError unless the actor may look at the project."""
        found, one = await self._access.find(actor, name, Action.SEE_PROJECT)
        there = await self._database.read(partial(versions.charts, project_id=found.id, number=number))
        for called, sha256, media_type in there:
            if called == chart:
                if found.task == STYLE and await self._moderator.unfit((sha256,), one.place) is not None:
                    raise ImageError("A rule here doesn't allow that picture to be shown.")
                return await self._files.get(sha256), media_type
        raise ImageError(f"Version {number} has no chart {chart[:40]!r}.")

    async def use(self, actor: Actor, name: str, number: int) -> Version:
        """Let a version be the one that is used, also an earlier one. Raises UserError where it is gone,
        NotAllowedError unless the actor is the project's owner, manages its server, or may train."""
        found, _unused = await self._access.find(actor, name, Action.TRAIN)
        if not await self._database.write(partial(versions.use_version, project_id=found.id, number=number)):
            raise UserError(f"{found.name} has no version {number} that can be used any more.")
        return await version_of(self._database, found, number)

    async def threshold(
        self, actor: Actor, name: str, move: str, number: int | None = None, *, keep: bool = False
    ) -> Moved:
        """Return what a stricter, looser or the usual threshold of an inspection or a detector means, or the
        one with the fewest errors ("fewest"); keep: let the version judge by it from now on. Raises UserError
        for another move, or a model that has no threshold, NotAllowedError unless the actor is the project's
        owner or manages its server."""
        found, _unused = await self._access.find(actor, name, Action.MANAGE_PROJECT)
        version = await version_of(self._database, found, number)
        if move not in MOVES:
            raise UserError(f"`move` is {move[:40]!r}; it takes {', '.join(MOVES)}.")
        if found.task == DETECT and version.threshold is not None:
            value, told = limits.moved(version.threshold, version.metrics.get("test", ()), move)
            moved = Moved(value, None, (0, 0), (0, 0), kept=keep, told=told)
        else:
            moved = await self._moved(found, version, move, keep=keep)
        if keep:
            work = partial(versions.judge_by, threshold=moved.threshold, promise=moved.promise)
            await self._database.write(partial(work, project_id=found.id, number=version.number))
        return moved

    async def _moved(self, found: Project, version: Version, move: str, *, keep: bool) -> Moved:
        # Of several shots of one good part the largest score counts: a promise is about parts, not pictures
        good, bad = _floats(version.metrics.get("good_scores")), _floats(version.metrics.get("bad_scores"))
        groups = version.metrics.get("good_groups", ())
        good = limits.strongest(good, groups) if len(groups) == len(good) else good
        if version.threshold is None or not good:
            raise UserError(
                "Only inspections and detectors have a threshold; this model names the most likely label."
            )
        tested = [one.label for one in await self._tested(version)]
        value, promise = _moved(version.threshold, good, bad, move)
        stopped, caught = _would(version, tested, value)
        return Moved(value, promise, stopped, caught, _would(version, tested, version.threshold), keep)

    async def compare(self, actor: Actor, name: str, first: int, second: int) -> str:
        """Say whether the second version is better than the first on the pictures that both were tested on.
        Raises UserError where one is gone or there are no such pictures, NotAllowedError."""
        found, _unused = await self._access.find(actor, name, Action.SEE_PROJECT)
        two, right = list[Version](), list[dict[str, Any]]()
        for number in (first, second):
            version = await version_of(self._database, found, number)
            tested, said = await self._tested(version), version.metrics.get("test", [])
            if len(tested) != len(said) or not said:
                raise UserError(f"Version {number} has no test pictures to compare.")
            two.append(version)
            right.append({})
            for one, told in zip(tested, said, strict=True):
                is_right = told if found.task == DETECT else _is_right(found, version, one.label, told)
                right[-1][one.sha256] = is_right
        common = sorted(right[0].keys() & right[1].keys())
        if not common:
            raise UserError("These versions were tested on no picture in common.")
        if found.task == DETECT:
            limits_ = (two[0].threshold or 0.0, two[1].threshold or 0.0)
            found_by, wrong = limits.found_by(right[0], right[1], limits_)
            if not found_by[0]:
                raise UserError("These versions have no test picture whose marks are unchanged.")
            told = verdict(*found_by, first, second, _("marked objects"))
            return f"{told} {limits.drawn_wrongly(wrong, first, second)}"
        old, new = ([one[sha256] for sha256 in common] for one in right)
        return verdict(old, new, first, second)

    async def _tested(self, version: Version) -> list[LearnedFrom]:
        """Return the pictures that a version was tested on."""
        work = partial(versions.learned_from, project_id=version.project_id, number=version.number)
        return [one for one in await self._database.read(work) if one.part == TEST]


async def version_of(database: Any, found: Project, number: int | None) -> Version:
    """Return a project's version, None = the one that is used. Raises UserError where there is none such."""
    version = await database.read(partial(versions.read_version, project_id=found.id, number=number))
    if version is not None:
        return version
    if number is not None:
        raise UserError(f"{found.name} has no version {number}.")
    if found.due:
        raise UserError(
            f"{found.name} is being trained again: pictures that version {found.due} had learned from were"
            " deleted."
        )
    raise UserError(f"{found.name} has no model yet. Train it first.")


def check_enough(found: Project, counts: Counts) -> None:
    """Raise UserError, in one sentence, where a project has too few pictures, or too many."""
    if found.task == ANOMALY and counts.labels.get(GOOD, 0) < LEAST_GOOD:
        raise UserError(NO_GOOD)
    if found.task == CLASSIFY:
        taught = [name for name, count in counts.labels.items() if count >= LEAST_LABELLED]
        if len(taught) < 2:
            have = (
                ", ".join(
                    _("{count} of {name}", count=count, name=name) for name, count in counts.labels.items()
                )
                or "none"
            )
            raise UserError(
                f"A classifier needs at least 2 labels with {LEAST_LABELLED} pictures each; there are {have}."
            )
    if found.task == DETECT and (marked := counts.states.get(dataset.LABELLED, 0)) < LEAST_MARKED:
        raise UserError(few_marked(marked))
    shown = counts.total - counts.states.get(dataset.LEFT_OUT, 0)
    if found.task == STYLE and not LEAST_STYLE <= shown <= MOST_STYLE:
        raise UserError(f"A style takes {LEAST_STYLE} to {MOST_STYLE} pictures; there are {shown}.")


def verdict(old: list[bool], new: list[bool], first: int, second: int, what: str = "pictures") -> str:
    """Say whether a version is better than another on the same pictures, by McNemar's exact test. old, new:
    whether each was right. what: they are, if not pictures."""
    won = sum(b and not a for a, b in zip(old, new, strict=True))
    lost = sum(a and not b for a, b in zip(old, new, strict=True))
    either = won + lost
    tail = sum(math.comb(either, k) for k in range(min(won, lost) + 1)) / 2**either
    if min(1.0, 2 * tail) >= SURE or won == lost:
        return _(
            "{old} {what} show no clear difference between versions {first} and "
            "{second}. Version {second} is right on {won} that {first} is wrong on, "
            "and wrong on {lost} that it is right on.",
            old=len(old),
            what=what,
            first=first,
            second=second,
            won=won,
            lost=lost,
        )
    better, worse, more, fewer = (second, first, won, lost) if won > lost else (first, second, lost, won)
    return _(
        "Version {better} is better than version {worse}: of {old} {what} it is "
        "right on {more} more, and wrong on {fewer} that the other is right on.",
        better=better,
        worse=worse,
        old=len(old),
        what=what,
        more=more,
        fewer=fewer,
    )


def _is_right(found: Project, version: Version, label: str, said: Mapping[str, Any]) -> bool:
    if found.task == ANOMALY and version.threshold is not None:
        return (float(said["score"]) > version.threshold) == (label != GOOD)
    return bool(said["said"] == label and not said["strange"])


def _moved(now: float, good: list[float], bad: list[float], move: str) -> tuple[float, float | None]:
    """Return the threshold that a move leads to, and what it promises of good parts."""
    ranks = sorted(good, reverse=True)
    above = sum(score > now * (1 + ROUNDED) for score in good)
    if move == "fewest":
        if len(bad) < 5:
            raise UserError(f"It learned from {len(bad)} defects; “fewest errors” needs at least 5.")
        found = limits.fewest_errors(good, bad)
    elif move == "usual":
        found = limits.from_good(good)
    elif move == "looser":
        found = limits.looser(good) if above == 0 else limits.from_good(good, above - 1)
    elif now > ranks[0] * (1 + ROUNDED):
        found = limits.from_good(good)
    elif above + 1 >= len(good):
        raise UserError("Stricter than that would stop every good part.")
    else:
        found = limits.from_good(good, above + 1)
    return found.value, float(found.promise)


def _would(version: Version, labels: list[str], threshold: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return what a threshold would do to the pictures that were kept for testing: good ones stopped, defects
    found, each with how many there are."""
    said = version.metrics.get("test", [])
    pairs = list(zip(labels, said, strict=True)) if len(labels) == len(said) else []
    over = [(label == GOOD, float(one["score"]) > threshold) for label, one in pairs]
    good, bad = [one for is_good, one in over if is_good], [one for is_good, one in over if not is_good]
    return (sum(good), len(good)), (sum(bad), len(bad))


def drift(tally: Tally, promise: float | None) -> str:
    """Say when far more of what a version has judged was strange than good parts would be, "" else: an exact
    binomial test against its promise, from LEAST_JUDGED on."""
    n = tally.verdicts
    if promise is None or not 0 < promise < 1 or n < LEAST_JUDGED:
        return ""
    odds = math.log(promise / (1 - promise))
    one = math.lgamma(n + 1) + n * math.log(1 - promise)  # in logarithms: n may be thousands
    chances = (one - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * odds for k in range(tally.strange))
    few = math.fsum(map(math.exp, chances))
    if 1 - few >= UNLIKELY:
        return ""
    return _(
        "{strange} of {verdicts} pictures were unusual, far more than good parts "
        "would be: there are many defects, or the camera or the light has changed.",
        strange=tally.strange,
        verdicts=tally.verdicts,
    )


def learned_sentence(version: Version) -> str:
    """Return what a training said of its version, without the promise that its own limit made: another limit
    may have been chosen since."""
    return _PROMISED.sub("", str(version.metrics.get("sentence", ""))).strip()


def promise_of(version: Version) -> str:
    """Return what a version promises of good parts, "" where it is nothing."""
    return limits.promise_sentence(version.promise) if version.promise else ""


def _told(version: Version) -> list[str]:
    """Return what else there is to say of a version."""
    found = []
    if version.metrics.get("weak"):
        found.append(_("It is weak on these pictures: check what it lets through before you rely on it."))
    if version.threshold is not None and version.settings.get("task") == DETECT:
        found.append(limits.threshold_effect(version.threshold, version.metrics.get("test", ())))
    if unsure := version.metrics.get("unsure"):
        found.append(_("It mostly misses {str} of the drawn defects.", str=", ".join(map(str, unsure))))
    return found


def _floats(values: Any) -> list[float]:
    return [float(value) for value in values or ()]


EVERY = 20.0  # seconds between two looks where nothing was deleted
log = logging.getLogger(__name__)


class Retraining:
    """Looks whenever something was deleted, and from time to time. What is due is in the rows, so that a
    crash forgets nothing; a job is asked for by a key of its own, so that it doubles nothing."""

    def __init__(self, database: Database, queue: Queue, privacy: Privacy, limits: ProjectLimits) -> None:
        self._database, self._queue = database, queue
        self._privacy, self._limits = privacy, limits

    async def run_for_ever(self) -> None:
        """Look now, and again and again."""
        while True:
            self._privacy.cleared.clear()
            await self.look()
            try:
                async with asyncio.timeout(EVERY):
                    await self._privacy.cleared.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Ask for every training that is due, and give up files that nobody uses."""
        for project in await self._database.read(projects.list_due):
            try:
                await self._ask_again(project)
            except (
                UserError,
                StorageError,
            ) as error:  # a limit, or a full disk: tried again at the next look
                log.warning("project %s isn't trained again yet: %s", project.id, error)
        stale = await self._database.read(partial(versions.stale, keep=self._limits.versions))
        bundled = await self._database.read(projects.tainted_bundles)
        if stale or bundled != Gone():

            def retire(connection: sa.Connection) -> Gone:
                files = versions.give_up(connection, stale)
                return Gone(frozenset(files)) | projects.tainted_bundles(connection)

            await self._privacy.delete_learned(retire)

    async def _ask_again(self, project: Project) -> None:
        work = partial(versions.read_version, project_id=project.id, number=project.due)
        version = await self._database.read(work)
        request = version and from_json(TrainRequest.kind, json.dumps(version.settings))
        if not isinstance(request, TrainRequest):
            return await self._give_up(project)
        again = replace(request, settled=True, replaces=project.due)
        key = f"again {project.id} {project.due}"
        origin = Origin(NOBODY, 0, project.guild_id, private=True, surface=Surface.WEB, request_key=key)
        submitted = await self._queue.submit(again, origin, lane=Lane.RELAX)
        job = await self._queue.job(submitted.job.id)
        if job is not None and job.status in (Status.FAILED, Status.CANCELLED):
            await self._give_up(project)

    async def _give_up(self, project: Project) -> None:
        """Leave a project without a model: it has too little left to learn from."""
        log.info("project %s can't be trained again by itself", project.id)
        work = partial(projects.change_project, project_id=project.id, values={"due": 0})
        await self._database.write(work)
