"""One's own things: settings, options, favourites, jobs and usage, and the data that is kept of oneself."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.convert import MAX_OPTIONS, Preferences, check_option, check_suffix
from core.errors import NotAllowedError, UserError
from core.job import Job
from core.limits import MAX_PROMPT
from jobs.queue import Result, Snapshot
from storage.duels import delete_votes
from storage.members import Favourite, Members, Usage
from storage.privacy import Holdings
from storage.tastes import delete_codes, forget_rated
from studio.authority import Action, Actor
from studio.languages import Languages
from studio.new_job import picture_of
from studio.privacy import Deleted, Export
from studio.requests.completion import Completion, Hints, ImageModel, Mark
from studio.rights import Rights
from studio.services import Services

_HINT = "demo_hint"


@dataclass(frozen=True)
class Info:
    """What /info tells a member of themselves. ever, month: used since the beginning, since the 1st."""

    preferences: Preferences
    ever: Usage
    month: Usage
    jobs: Snapshot


class Own:
    """What people read and change of themselves; nobody else's objects can be named here. Every method raises
    NotAllowedError for who may not, such as somebody who is barred."""

    def __init__(
        self,
        rights: Rights,
        members: Members,
        services: Services,
        completion: Completion,
        hints: Hints,
        languages: Languages,
        forget_loras: Callable[[Actor], Awaitable[None]],
    ) -> None:
        self._rights, self._members, self._queue = rights, members, services.queue
        self._languages, self._forget_loras = languages, forget_loras
        self._privacy, self._web = services.privacy, services.web
        self.retention = services.privacy.retention  # for how long objects are kept here
        self._completion, self._hints = completion, hints
        self._export = Export(services.database, services.files, services.moderator)

    # Settings and options

    async def preferences(self, actor: Actor) -> Preferences:
        """Return the actor's settings for new jobs."""
        await self._rights.check(actor, Action.MINE)
        return await self._languages.preferences(actor.user_id)

    async def change(self, actor: Actor, **values: Any) -> Preferences:
        """Change the named settings and return all of them. Raises PromptError for a suffix that can't be
        read."""
        await self._rights.check(actor, Action.SETTINGS)
        if "suffix" in values:
            values["suffix"] = check_suffix(values["suffix"])
        changed = await self._members.change(actor.user_id, **values)
        if not changed.taste:  # nothing that was learned is kept
            changed = await self._members.change(actor.user_id, not_so=())
            for forget in (delete_codes, forget_rated, delete_votes):
                await self._queue.database.write(partial(forget, user_id=actor.user_id))
            await self._forget_loras(actor)
        self._languages.forget(actor.user_id)
        return changed

    async def toggle(self, actor: Actor, name: str) -> Preferences:
        """Turn a setting on if it was off, off if it was on."""
        await self._rights.check(actor, Action.SETTINGS)
        now = await self._members.preferences(actor.user_id)
        changed = await self._members.change(actor.user_id, **{name: not getattr(now, name)})
        self._languages.forget(actor.user_id)
        return changed

    async def reset(self, actor: Actor) -> Preferences:
        """Forget all settings and return what holds then."""
        await self._rights.check(actor, Action.SETTINGS)
        await self._members.reset(actor.user_id)
        self._languages.forget(actor.user_id)
        return Preferences()

    async def options(self, actor: Actor) -> dict[str, str]:
        """Return own --names and what they stand for, in order."""
        await self._rights.check(actor, Action.MINE)
        return await self._members.options(actor.user_id)

    async def set_option(self, actor: Actor, name: str, value: str | None) -> tuple[str, str, bool]:
        """Let --``name`` stand for ``value``, or take it away without one.

        Returns the name and value as they were understood, and whether anything was there to take away.
        Raises UserError for a bad name or value or too many options.
        """
        await self._rights.check(actor, Action.SETTINGS)
        name, text = check_option(name, value)
        if not text:
            return name, "", await self._members.remove_option(actor.user_id, name)
        if not await self._members.set_option(actor.user_id, name, text, most=MAX_OPTIONS):
            raise UserError(
                f"You have {MAX_OPTIONS} options, which is the limit. Remove one first: `/prefer option set`"
                " with its name and no value."
            )
        return name, text, True

    async def suggestions(self, actor: Actor, current: str, longest: int = MAX_PROMPT) -> list[str]:
        """Return whole prompts that go on from the beginning ``current``, at most 25 and each of at most
        ``longest`` characters."""
        await self._rights.check(actor, Action.MINE)
        return await self._completion.prompts(actor, current, longest)

    async def marks(self, actor: Actor, text: str) -> list[Mark]:
        """Return what in a prompt means nothing to its model, has no effect here, or is refused."""
        await self._rights.check(actor, Action.MINE)
        return await self._completion.marks(actor, text)

    async def hint(self, actor: Actor, text: str) -> str | None:
        """Return what is to be said of a prompt beside its pictures: the first time a word about the demo
        models, later which of its words the model has never learned; None where there is nothing to say."""
        await self._rights.check(actor, Action.MINE)
        if self._hints.prompts and not await self._queue.people.user_flag(actor.user_id, _HINT):
            await self._queue.people.set_user_flag(actor.user_id, _HINT, True)
            return self._hints.text()
        return self._completion.told(await self._completion.marks(actor, text)) or None

    async def warning(self, actor: Actor, current: str) -> str:
        """Return what is to be said of a prompt while it is typed, its last word left out; "" = nothing."""
        await self._rights.check(actor, Action.MINE)
        begun = current[: len(current) - len(current.rpartition(" ")[2])]
        return self._completion.told(await self._completion.marks(actor, begun))

    @property
    def picture_seconds(self) -> float | None:
        """How long four pictures take here, None while nobody has asked for any."""
        return self._queue.picture_seconds()

    async def image_models(self, actor: Actor) -> list[ImageModel]:
        """Return what the actor's prompts may be drawn by, the studio's usual model first."""
        await self._rights.check(actor, Action.MINE)
        return await self._completion.image_models(actor, self._queue.picture_seconds)

    async def examples(self, actor: Actor) -> tuple[str, ...]:
        """Return prompts to begin with, for the model that draws the actor's."""
        await self._rights.check(actor, Action.MINE)
        return await self._completion.examples(actor)

    # Pictures and jobs

    async def favourite(self, actor: Actor, offset: int) -> tuple[Favourite, int, Result | None] | None:
        """Return favourite number ``offset`` (from 0, newest first), how many there are, and its result.

        The result is None when it is gone, or shown nowhere that the actor can look; all is None when there
        is no such favourite.
        """
        await self._rights.check(actor, Action.MINE)
        found = await self._members.favourites(actor.user_id, limit=1, offset=offset)
        if not found:
            return None
        count = await self._members.count_favourites(actor.user_id)
        job = await self._queue.job(found[0].job_id)
        seen = job is not None and await self._rights.sees(actor, job)
        result = await self._rights.made(actor, job) if job is not None and seen else None
        there = result is not None and found[0].position in [picture.index for picture in result.pictures]
        return found[0], count, result if there else None

    async def toggle_favourite(self, actor: Actor, job_id: str, index: int) -> bool:
        """Keep picture ``index`` (from 0) of a job, or no longer if it was kept; whether it is now. Raises
        ImageError when there is no such picture."""
        picture_of(await self._rights.result(actor, job_id, Action.FAVOURITE), index)
        kept = await self._members.toggle_favourites(actor.user_id, job_id, [index])
        self._queue.note_changed(actor.user_id, job_id)
        return kept

    async def keep(self, actor: Actor, job_id: str, index: int) -> None:
        """Make picture ``index`` (from 0) of a job a favourite; nothing happens if it is one. Raises
        ImageError when there is no such picture."""
        picture_of(await self._rights.result(actor, job_id, Action.FAVOURITE), index)
        await self.add_favourites(actor, job_id, [index])

    async def let_go(self, actor: Actor, job_id: str, index: int) -> None:
        """Make picture ``index`` (from 0) of a job no favourite any more; nothing happens if it is none."""
        await self._rights.check(actor, Action.MINE)
        await self._members.remove_favourites(actor.user_id, job_id, [index])
        self._queue.note_changed(actor.user_id, job_id)

    async def add_favourites(self, actor: Actor, job_id: str, indexes: Sequence[int] | None) -> None:
        """Keep these pictures of a job, None = all. Raises ImageError or NotAllowedError."""
        job = await self._rights.job(actor, job_id, Action.FAVOURITE)
        result = await self._rights.made(actor, job)
        there = [picture.index for picture in result.pictures] if result else []
        wanted = [index for index in there if indexes is None or index in indexes]
        # else keeping a kept one would end it
        await self._members.remove_favourites(actor.user_id, job_id, wanted)
        if wanted:
            await self._members.toggle_favourites(actor.user_id, job_id, wanted)
            self._queue.note_changed(actor.user_id, job_id)

    async def recent(self, actor: Actor, limit: int = 25) -> list[Job]:
        """Return the actor's newest jobs with pictures, one for each prompt."""
        await self._rights.check(actor, Action.MINE)
        return await self._members.recent(actor.user_id, limit=limit)

    @property
    def point(self) -> int:
        """The point that news end at now, whoever asks."""
        return self._queue.point

    async def jobs(self, actor: Actor) -> Snapshot:
        """Return the actor's jobs that run or wait."""
        await self._rights.check(actor, Action.MINE)
        return await self._queue.mine(actor.user_id)

    async def info(self, actor: Actor) -> Info:
        """Return the actor's settings, usage and unfinished jobs."""
        await self._rights.check(actor, Action.MINE)
        month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0)
        return Info(
            await self._members.preferences(actor.user_id),
            await self._members.usage(actor.user_id),
            await self._members.usage(actor.user_id, month),
            await self._queue.mine(actor.user_id),
        )

    # The web

    async def web_link(self, actor: Actor, page: str = "/", *, members_only: bool = False) -> str:
        """Return a link that signs the actor in on the web, once and soon, and leads to ``page``.
        members_only: as of ``web_session``. Raises UserError while the web is closed."""
        await self._let_in(actor, members_only=members_only)
        link = await self._web.new(actor.user_id, actor.name, page)
        if link is None:
            raise UserError("The web studio is off here. The operator turns it on with `WEB_PORT`.")
        return link

    async def web_session(self, actor: Actor, label: str, *, members_only: bool) -> str:
        """Return the token of a new session on the web of somebody whom the chat service has named. label: of
        their browser. members_only: they must share a server with the bot, or be the host."""
        await self._let_in(actor, members_only=members_only)
        return await self._web.sessions.begin(actor.user_id, actor.name, label)

    async def _let_in(self, actor: Actor, *, members_only: bool) -> None:
        if members_only and not await self._rights.belongs(actor):
            raise NotAllowedError(
                "You share no server with this studio's bot, so there is nothing to sign in to. If you do,"
                " type `/web` there instead."
            )
        await self._rights.check(actor, Action.ASK)

    async def sign_out(self, actor: Actor) -> int:
        """End all sessions of the actor's on the web; return how many there were."""
        await self._rights.check(actor, Action.PRIVACY)
        return await self._web.sessions.end(actor.user_id)

    # Data

    async def holdings(self, actor: Actor) -> Holdings:
        """Return what is kept of the actor, in numbers."""
        await self._rights.check(actor, Action.PRIVACY)
        return await self._privacy.holdings(actor.user_id)

    async def export(
        self, actor: Actor, limit: int | None = None, *, pictures: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """Yield everything that is kept of the actor, or all but the ``pictures``: ZIP files of at most
        ``limit`` bytes, or the pieces of a single one. Raises LimitError while another copy is being made."""
        await self._rights.check(actor, Action.PRIVACY)
        found = (
            self._export.whole(actor.user_id, pictures=pictures)
            if limit is None
            else self._export.parts(actor.user_id, limit, pictures=pictures)
        )
        async with aclosing(found) as parts:
            async for part in parts:
                yield part

    async def delete(self, actor: Actor) -> Deleted:
        """Delete everything that is kept of the actor, for good; messages are noted to be deleted."""
        await self._rights.check(actor, Action.PRIVACY)
        return await self._privacy.delete(actor.user_id)
