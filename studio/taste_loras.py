"""*Make it strong*: a style trained on the pictures that somebody likes, which acts in their drawings by
``--p`` once they chose it in pairs of pictures, without knowing which was drawn with it. It is one of their
own projects: queued, trained, kept, exported and forgotten as any style is."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa

from core.errors import ImageError, NotAllowedError, UserError
from core.job import Lane, new_seed
from core.language import _
from core.prompt.values import OWN, StoredLora, lora_name
from core.requests import ImagineRequest
from core.requests.custom_models import STYLE
from core.taste_words import amount_of
from storage import collections, taste_loras
from storage.projects import dataset, projects, versions
from storage.projects.projects import Project
from storage.projects.versions import TAINTED, Version
from storage.taste_loras import Pair, TasteLora
from storage.tastes import Row, code_of, typed_name
from studio.authority import Action, Actor
from studio.moderation.rules import Visibility
from studio.new_job import NewJob, picture_of
from studio.projects.dataset import Pictures
from studio.projects.projects import MAX_NAME, Shelf
from studio.projects.trainings import LEAST_STYLE, MOST_STYLE, Training
from studio.rights import Rights
from studio.services import Services
from studio.tastes import Tastes
from studio.texts import counted
from vision.weights import files

PROMPTS, EACH = 4, 2  # of a comparison; pictures of each
ENOUGH, FEWEST = 0.75, 4  # share of pairs by which it acts, and pairs that it takes
WORDS = "in my taste"  # call it, as other styles have words
USUAL = ("a house", "a boat", "a tree", "a cat")  # prompts where somebody has drawn too few
TOO_FEW = (
    "A LoRA takes {fewest} liked pictures of that taste at least, and there are {count}: your own, or others'"
    " that you can see. Press ❤️ under more, or put more into the folder."
)
NONE = "Nothing was trained on that taste yet."
NOT_READY = "There is no trained version that can be used. Train it first."
OTHER_MODEL = "It was trained on {model}, and this studio draws with another model now. Train it again."
DRAWING = "The pairs are still being drawn."
SAID = "You have chosen in that pair already."


@dataclass(frozen=True)
class LoraCard:
    """What there is of a taste's LoRA. source: the id of the folder that it is of, "me" = of hearts. name: of
    the taste, as it is typed. pictures: that it would be trained
    on now. project_id: "" = there is none. training: job of the training that isn't over. version: the newest
    that can be used, None = there is none. is_older: the taste has changed since. drawing: pairs are being
    drawn. left: pairs that wait for a choice. won, of: pairs in which the picture with it was chosen, of
    those that were decided."""

    source: str
    name: str
    pictures: int
    project_id: str = ""
    training: str = ""
    version: int | None = None
    is_on: bool = False
    is_older: bool = False
    drawing: bool = False
    left: int = 0
    won: int = 0
    of: int = 0

    @property
    def can_train(self) -> bool:
        """Whether there are enough pictures, and none is trained now."""
        return self.pictures >= LEAST_STYLE and not self.training

    @property
    def is_decided(self) -> bool:
        """Whether the newest version was compared to the end."""
        return self.of > 0 and not self.left and not self.drawing


@dataclass(frozen=True)
class ShownPair:
    """Two pictures of one prompt and seed, one of them drawn with a LoRA. position: of the pair. number, of:
    which of how many it is."""

    position: int
    prompt: str
    first: bytes
    second: bytes
    number: int
    of: int


class TasteLoras:
    """What people do with LoRAs of their tastes. Every method checks its right itself; nobody can name
    another's. name: of a taste, as ``Tastes`` takes it, or the id of its folder or of the project."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        tastes: Tastes,
        shelf: Shelf,
        dataset: Pictures,
        training: Training,
    ) -> None:
        self._rights, self._tastes, self._shelf = rights, tastes, shelf
        self._dataset, self._training = dataset, training
        self._database, self._queue, self._settings = services.database, services.queue, services.settings
        self._showing, self._moderator = services.showing, services.moderator

    async def card(self, actor: Actor, name: str = OWN) -> LoraCard:
        """Return what there is of a taste's LoRA. Raises UserError where there is no such taste, or nothing
        is learned."""
        await self._rights.check(actor, Action.MINE)
        folder_id, typed, liked, lora = await self._meant(actor, name)
        source = folder_id or OWN
        if lora is None:
            return LoraCard(source, typed, len(liked))
        waiting = await self._database.read(partial(versions.unfinished, project_id=lora.project_id))
        version = await self._newest(lora.project_id)
        pairs = await self._pairs(lora) if version and version.number == lora.number else []
        decided = [one.chosen for one in pairs if one.chosen is not None]
        return LoraCard(
            source,
            typed,
            len(liked),
            lora.project_id,
            next(iter(waiting), ""),
            None if version is None else version.number,
            lora.is_on,
            lora.code != code_of(actor.user_id, liked),
            await self._are_waiting(pairs),
            len(pairs) - len(decided),
            sum(decided),
            len(decided),
        )

    async def train(self, actor: Actor, name: str = OWN) -> NewJob:
        """Return the job that trains a taste's LoRA, on those of its liked pictures that the actor may use
        and the rules let in. Raises UserError for too few, or where nothing is learned, LimitError for too
        many projects, NotAllowedError."""
        await self._rights.check(actor, Action.ASK)
        folder_id, typed, liked, lora = await self._meant(actor, name)
        allowed = list[Row]()
        for row in liked:
            with suppress(ImageError, NotAllowedError):
                await self._rights.picture(actor, row.job_id, row.position, Action.USE)
                allowed.append(row)
        if len(allowed) < LEAST_STYLE:
            raise UserError(TOO_FEW.format(fewest=LEAST_STYLE, count=len(allowed)))
        project_id = lora.project_id if lora else await self._new(actor, typed, folder_id)
        names = [f"{row.job_id} {row.position + 1}" for row in allowed]
        brought = await self._dataset.add(actor, project_id, names)
        wanted, now = {*brought.new, *brought.known}, datetime.now(UTC)

        def work(connection: sa.Connection) -> None:
            there = dataset.read_items(connection, project_id, limit=self._settings.project_pictures)
            gone = [one.sha256 for one in there if one.sha256 not in wanted]
            dataset.leave_out(connection, project_id, gone, True, now=now)
            dataset.leave_out(connection, project_id, wanted, False, now=now)
            code = code_of(actor.user_id, liked)
            taste_loras.change(connection, project_id, {"code": code})

        await self._database.write(work)
        try:
            return await self._training.train(actor, project_id, seed=new_seed())
        except UserError:  # the rules let in too few
            if lora is None:
                await self._shelf.forget(actor, project_id)
            raise

    async def _new(self, actor: Actor, typed: str, folder_id: str | None) -> str:
        """Return the id of a new style of the actor's own that is made of a taste."""
        plain = re.sub(r"[^\w .+-]", "", typed).strip(" .+-")
        wanted = "My taste" if folder_id is None else f"My taste {plain}"[: MAX_NAME - 3].strip()
        taken = {one.name for one in await self._shelf.all(actor)}
        numbered = (f"{wanted} {n}" if n > 1 else wanted for n in range(1, len(taken) + 3))
        called = next(one for one in numbered if one not in taken)
        made = await self._shelf.new(actor, called, STYLE, shared=False, words=WORDS)
        await self._database.write(partial(taste_loras.add, project_id=made.id, folder_id=folder_id))
        return made.id

    async def comparison(self, actor: Actor, name: str = OWN) -> list[tuple[NewJob, NewJob]]:
        """Return jobs that draw the same prompts by the same seeds, with the words that ``--p`` adds: with
        the newest version of a taste's LoRA, and without. Raises UserError where there is none, or another
        model draws now."""
        await self._rights.check(actor, Action.ASK)
        project, _lora, version = await self._trained(actor, name)
        typed = (await self._meant(actor, name))[1]
        model = files.parse(self._settings.models["image"]).name
        if (learned := version.metrics.get("model", model)) != model:
            raise UserError(OTHER_MODEL.format(model=learned))
        lora = str(StoredLora(lora_name(project.name), project.id, str(version.artefact)))
        last = partial(taste_loras.recent_prompts, user_id=actor.user_id, most=2 * PROMPTS)
        said = await self._moderator.captions(await self._database.read(last), actor.place)
        prompts = list(dict.fromkeys([*(one for one in said if one), *USUAL]))[:PROMPTS]
        made = []
        for prompt in prompts:
            plain = ImagineRequest(prompt=prompt, seed=new_seed(), num_images=EACH)
            words = await self._tastes.added(actor, plain, ((typed, 1.0),))
            plain = replace(plain, taste_words=words)
            strong = replace(plain, taste_loras=((lora, amount_of(None)),))
            both = [NewJob(one, Lane.RELAX, private=True, own_words=False) for one in (strong, plain)]
            made.append((both[0], both[1]))
        return made

    async def begin(self, actor: Actor, name: str, jobs: Sequence[tuple[str, str]]) -> None:
        """Let the pictures of these jobs, with the LoRA and without, decide whether the newest version
        acts. Raises UserError where there is none."""
        await self._rights.check(actor, Action.ASK)
        project, _lora, version = await self._trained(actor, name)
        drawn = [(*both, picture) for both in jobs for picture in range(EACH)]
        secrets.SystemRandom().shuffle(drawn)
        pairs = [Pair(n, *one, first=bool(secrets.randbelow(2))) for n, one in enumerate(drawn)]
        work = partial(taste_loras.begin_pairs, project_id=project.id, number=version.number, pairs=pairs)
        await self._database.write(work)

    async def pair(self, actor: Actor, name: str = OWN) -> ShownPair | None:
        """Return the next pair to choose from, None where there is none left. One that can't be shown is left
        out for good. Raises UserError while they are being drawn."""
        await self._rights.check(actor, Action.SETTINGS)
        _project, lora, _version = await self._trained(actor, name)
        pairs = await self._pairs(lora)
        if await self._are_waiting(pairs):
            raise UserError(DRAWING)
        for pair in pairs:
            if pair.chosen is not None:
                continue
            if (shown := await self._shown(actor, pair)) is None:
                drop = partial(taste_loras.drop_pair, project_id=lora.project_id, position=pair.position)
                await self._database.write(drop)
                await self._decide(lora)
                continue
            strong, plain, prompt = shown
            two = (strong, plain) if pair.first else (plain, strong)
            number = 1 + sum(one.chosen is not None for one in pairs)
            return ShownPair(pair.position, prompt, *two, number, len(pairs))
        return None

    async def choose(self, actor: Actor, name: str, position: int, *, first: bool) -> None:
        """Choose a picture of a pair. After the last one the LoRA acts where the pictures with it won, and
        else it doesn't. Raises UserError for a pair that there isn't, or that was decided."""
        await self._rights.check(actor, Action.SETTINGS)
        _project, lora, _version = await self._trained(actor, name)
        pair = next((one for one in await self._pairs(lora) if one.position == position), None)
        if pair is None or pair.chosen is not None:
            raise UserError(SAID)
        work = partial(taste_loras.put_choice, project_id=lora.project_id, position=position)
        await self._database.write(partial(work, chosen=pair.first == first))
        await self._decide(lora)

    async def _decide(self, lora: TasteLora) -> None:
        """Once nothing is left to choose, turn a LoRA on or off."""
        said = [one.chosen for one in await self._pairs(lora)]
        if None in said:
            return
        won = len(said) >= FEWEST and sum(map(bool, said)) >= ENOUGH * len(said)

        def work(connection: sa.Connection) -> None:
            if won:
                versions.use_version(connection, lora.project_id, lora.number)
            used = versions.read_version(connection, lora.project_id)
            if won or used is None or used.number == lora.number:  # else an older one acts as before
                taste_loras.change(connection, lora.project_id, {"is_on": int(won)})

        await self._database.write(work)

    async def turn(self, actor: Actor, name: str, *, on: bool) -> None:
        """Let the newest version of a taste's LoRA act, or none. Raises UserError where there is none."""
        await self._rights.check(actor, Action.SETTINGS)
        project, _lora, version = await self._trained(actor, name)

        def work(connection: sa.Connection) -> None:
            if on:
                versions.use_version(connection, project.id, version.number)
            taste_loras.change(connection, project.id, {"is_on": int(on)})

        await self._database.write(work)

    async def forget(self, actor: Actor, name: str = OWN) -> None:
        """Delete a taste's LoRA, with all that was trained, for good; nothing happens where there is
        none. Raises UserError for no taste of the actor's."""
        await self._rights.check(actor, Action.MINE)
        _folder, _typed, _liked, lora = await self._meant(actor, name)
        if lora is not None:
            await self._shelf.forget(actor, lora.project_id)

    async def forget_with(self, actor: Actor, folder_id: str | None = None) -> None:
        """Delete the LoRA of a folder that goes; None = those of all of the actor's tastes."""
        await self._rights.check(actor, Action.MINE)
        for one in await self._database.read(partial(taste_loras.of_user, user_id=actor.user_id)):
            if folder_id in (None, one.folder_id):
                await self._shelf.forget(actor, one.project_id)

    async def _meant(self, actor: Actor, name: str) -> tuple[str | None, str, list[Row], TasteLora | None]:
        """Return the folder of a taste, None = the actor's hearts, its name as it is typed, those of its
        liked pictures that a LoRA would be trained on, and the one that there is. Raises UserError."""
        made = await self._database.read(partial(taste_loras.of_user, user_id=actor.user_id))
        own = await self._database.read(partial(collections.list_folders, user_id=actor.user_id))
        named = {typed_name(one.name): one.id for one in own if one.query is None}
        known = next((one.folder_id or OWN for one in made if one.project_id == name), name)
        name = next((typed for typed, folder_id in named.items() if folder_id == known), known)
        typed, rows = await self._tastes.own(actor, name)
        folder_id = None if typed == OWN else named[typed]
        liked = [row for row in rows if row.liked and not row.page]  # no pictures of the studio's own
        newest = partial(taste_loras.newest_first, rows=liked, most=MOST_STYLE)
        lora = next((one for one in made if one.folder_id == folder_id), None)
        return folder_id, typed, await self._database.read(newest), lora

    async def _trained(self, actor: Actor, name: str) -> tuple[Project, TasteLora, Version]:
        """Return the project of a taste's LoRA and its newest version. Raises UserError."""
        _folder, _typed, _liked, lora = await self._meant(actor, name)
        read = partial(projects.read_project, project_id=lora.project_id if lora else "")
        project = await self._database.read(read)
        if lora is None or project is None:
            raise UserError(NONE)
        if (version := await self._newest(project.id)) is None:
            raise UserError(NOT_READY)
        return project, lora, version

    async def _newest(self, project_id: str) -> Version | None:
        """Return the newest version whose file is there."""
        every = await self._database.read(partial(versions.list_versions, project_id=project_id))
        return next((one for one in every if one.artefact and one.state != TAINTED), None)

    async def _pairs(self, lora: TasteLora) -> list[Pair]:
        return await self._database.read(partial(taste_loras.list_pairs, project_id=lora.project_id))

    async def _are_waiting(self, pairs: Sequence[Pair]) -> bool:
        """Return whether jobs of pairs wait or run."""
        names = {name for one in pairs for name in (one.with_job, one.without_job)}
        found = [await self._queue.job(name) for name in names]
        return any(job is not None and not job.status.over for job in found)

    async def _shown(self, actor: Actor, pair: Pair) -> tuple[bytes, bytes, str] | None:
        """Return the picture with the LoRA, the one without, and their prompt; None where one is gone, or a
        rule hides it."""
        try:
            found = [
                await self._rights.result(actor, name, Action.SHOW)
                for name in (pair.with_job, pair.without_job)
            ]
            there = [(picture_of(one, pair.picture), one.job) for one in found]
        except (ImageError, UserError):
            return None
        copies = await self._showing.small_in(actor.place, there)
        data = [one.data for one in copies if one.visibility is Visibility.SHOW and one.data is not None]
        request = there[0][1].request
        prompt = request.prompt if isinstance(request, ImagineRequest) else ""
        return (data[0], data[1], prompt) if len(data) == 2 else None


def told_of_lora(card: LoraCard) -> list[str]:
    """Return sentences that say how far a taste's LoRA is, and whether it acts."""
    if card.training:
        return [_("A LoRA is being trained on pictures that you like. Others' jobs go first.")]
    if not card.project_id or card.version is None:
        if card.pictures < LEAST_STYLE:
            return [
                _(
                    "From {fewest} liked pictures on, a LoRA can make this taste strong; there are {count}.",
                    fewest=LEAST_STYLE,
                    count=card.pictures,
                )
            ]
        what = counted(card.pictures, "picture")
        return [
            _(
                "A LoRA trained on {pictures} that you like can make this taste strong. It acts only if you"
                " choose it blind.",
                pictures=what,
            )
        ]
    said = []
    if card.drawing:
        said.append(_("Pairs of pictures are being drawn, with the LoRA and without."))
    elif card.is_decided:
        said.append(
            _("You chose the picture with the LoRA in {won} of {of} pairs.", won=card.won, of=card.of)
        )
    elif card.left:
        said.append(_("{count} pairs wait for your choice.", count=card.left))
    else:
        said.append(_("The LoRA is trained. Compare it blind to decide whether it acts."))
    if card.is_on:
        said.append(_("It acts in your drawings with this taste; `--raw` leaves it out."))
    elif card.is_decided:
        said.append(_("It is off."))
    if card.is_older:
        said.append(_("Your taste has changed since it was trained. Train it again to take that in."))
    return said
