"""The studio as every door sees it: what members may ask, see, keep and end, whatever they came by.

    typed = await studio.requests.imagine(actor, text, None)
    submitted = await studio.submit(actor, await typed.job_or_question())
    async for event in await studio.watch(actor, submitted.job.id): ...

Every method takes an actor, checks its right itself and raises UserErrors, for people to read. ``requests``
turns words into jobs, ``own`` has one's own things, ``gallery`` pictures, ``search`` finds some, ``explore``
has others', ``folders``, ``trash``, ``zips``, ``shares`` and ``posting`` sort and hand them on, ``server``
has what managers decide, ``checks`` looks into messages for them, ``programs`` tokens, ``webhooks`` what is
told elsewhere, ``regions`` masks, ``editor`` documents, ``talking`` questions, ``dialogues`` what is said to
it, ``feedback`` on answers, ``video_requests`` videos, ``examples`` sets, ``copies`` what people take of
them, ``tastes`` what they like and ``taste_loras`` what
makes it strong;
custom models are made of ``projects``, their ``dataset`` and its ``labelling`` by ``training``, and used by
``inference``, ``watches`` and ``styles``."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from core.errors import AtelierError, LimitError, UserError
from core.job import Job, Lane, Origin, Reply, Surface, new_seed
from core.language import own_language, shared_language
from core.prompt.parser import Prompt
from core.requests.base import Answer
from jobs.feed import News, Watch
from jobs.queue import Result, Submitted
from storage.members import Members
from studio.account import Own
from studio.admin import Checks, Server
from studio.authority import Action, Actor, Authority
from studio.duels import Duels
from studio.editor.editor import Editor
from studio.example_sets import Copies, Lessons, Sets
from studio.inputs import Given, Sources
from studio.languages import Languages
from studio.library.collections import Folders, Trash
from studio.library.downloads import Zips
from studio.library.gallery import Explore, Gallery
from studio.library.rendition import Shown
from studio.library.shares import Posting, Shares
from studio.library.wall import Wall
from studio.moderation.rules import Blocked
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.privacy import Deleted
from studio.programs import Programs
from studio.projects.dataset import Bringing, Pictures
from studio.projects.inference import Styles, Trying
from studio.projects.labels import Labelling
from studio.projects.projects import Access, ProjectLimits, Shelf
from studio.projects.trainings import Training
from studio.projects.watches import Watches
from studio.pushes import Pushes
from studio.requests import actions
from studio.requests.actions import OF_VIDEOS
from studio.requests.chat import Feedback, Talking
from studio.requests.completion import Completion, Hints
from studio.requests.prompts import Regions, Requests
from studio.requests.video import VideoRequests
from studio.rights import Memberships, Rights
from studio.search import Search
from studio.server_tastes import ServerTastes
from studio.services import Services
from studio.talk.deciders import Deciders
from studio.talk.dialogues import Dialogues
from studio.talk.plans import Plans
from studio.taste_loras import TasteLoras
from studio.tastes import Tastes
from studio.texts import caption_prompt, shorter_prompts
from studio.webhooks import Webhooks
from vision.capabilities import CAPABILITIES


class Studio:
    """What members may do. ``kinds``: of requests that are built in."""

    def __init__(self, services: Services, kinds: Collection[str] = tuple(CAPABILITIES)) -> None:
        settings, queue, intake = services.settings, services.queue, services.intake
        self._queue, self._intake, self._privacy = queue, intake, services.privacy
        self.can_edit = "edit" in settings.models
        self._away_lane = Lane(settings.away_lane)
        self._showing, self._moderator, self._kinds = services.showing, services.moderator, frozenset(kinds)
        directory, self._members = services.directory, Members(services.database)
        authority = Authority(directory, settings.owner_ids, settings.home_guild_ids)
        memberships = Memberships(directory, self._members)
        self.rights = Rights(
            authority,
            queue,
            services.moderator,
            directory,
            memberships,
            members_only=settings.web_members == "members",
            user_apps=settings.user_apps,
        )
        self.sources = Sources(queue, intake, self.rights)
        bringing, limits = Bringing(self.sources, services), ProjectLimits.of(settings)
        access = Access(self.rights, services.database, services.moderator, limits)
        self.projects = Shelf(access, self.rights, services, limits)
        self.dataset = Pictures(access, bringing, services, limits)
        self.labelling = Labelling(access, services, limits)
        self.training = Training(access, self.rights, services, limits)
        self.inference = Trying(access, self.rights, bringing, services, limits)
        self.watches = Watches(access, self.rights, self.inference, services)
        self.styles = Styles(settings, self.inference, queue.executor)
        self.hints = Hints.of(settings)
        self.gallery = Gallery(self.rights, services.database, queue, services.showing, services.moderator)
        self.explore = Explore(self.rights, services.database, self.gallery)
        self.search = Search(self.rights, services, self._members, self.gallery, self.explore)
        self.regions = Regions(self.rights, self.sources, intake)
        self.talking = Talking(self.rights, self.sources, services)
        self.video_requests = VideoRequests(self.rights, self.sources, services, self._kinds)
        self.requests = Requests(
            self.rights, services, self.sources, self.styles, self.video_requests, self.talking
        )
        self.trash = Trash(self.rights, services.database, queue, services.privacy)
        self.zips = Zips(self.rights, services, self.video_requests.showing)
        self.shares = Shares(self.rights, services, self.video_requests.showing)
        self.posting = Posting(self.rights, queue, services.showing, directory)
        self.feedback = Feedback(self.rights, services.database, queue)
        lessons = Lessons(services.database, self.rights.sight, services.moderator)
        self.examples = Sets(self.rights, self.sources, services, lessons)
        self.tastes = Tastes(self.rights, services, self._members)
        self.taste_loras = TasteLoras(
            self.rights, services, self.tastes, self.projects, self.dataset, self.training
        )
        self.folders = Folders(self.rights, services.database, queue, self.taste_loras.forget_with)
        self.server_tastes = ServerTastes(self.rights, services, self.tastes)
        self.duels = Duels(self.rights, services, self.tastes.is_on)
        self.wall = Wall(self.rights, services, self.tastes)
        self.copies = Copies(self.examples, services, lessons)
        found = (self.rights, services, self.sources)
        plans = Plans(*found, self.requests, self.from_button, self.check_kind)
        decide = Deciders(services).decide
        self.dialogues = Dialogues(*found, plans, decide=decide, submit=self.submit)
        self.editor = Editor(self.rights, services, self.sources, self.requests)
        cache_dir = settings.data_dir / "cache"
        offers = Completion(self._members, settings, self.hints, self.styles.offered, cache_dir)
        self.languages = Languages(self._members)
        told = (offers, self.hints, self.languages)
        self.own = Own(self.rights, self._members, services, *told, self.taste_loras.forget_with)
        self.server = Server(
            self.rights,
            queue,
            services.moderator,
            self.languages,
            may_talk=settings.talk != "off",
            models=settings.image_models,
        )
        self.checks = Checks(self.rights, services)
        self.programs = Programs(self.rights, services)
        self.webhooks = Webhooks(self.rights, access, self.programs, services)
        self.pushes = Pushes(self.rights, services)

    # From pictures to jobs

    async def picture_of(self, actor: Actor, job_id: str, index: int, action: Action) -> Source:
        """Return picture ``index`` (from 0) of a job, to work on.

        Raises ImageError for no job or picture, NotAllowedError unless the actor may do ``action`` to it.
        """
        return await self.sources.of_result(await self.rights.result(actor, job_id, action), index)

    async def from_button(
        self,
        actor: Actor,
        job_id: str,
        action: str,
        index: int,
        words: PromptWithPictures | None = None,
        *,
        strong: bool = True,
        form: Mapping[str, Given] | None = None,
    ) -> NewJob:
        """Return the job that button ``action`` under picture ``index`` (from 0) of a job stands for.

        words: new ones, of a remix. strong: what V does. form: what a window or form says of a video. Raises
        UserError for a button that makes no job or no sense there, ImageError for no job or picture,
        NotAllowedError.
        """
        if action not in actions.RIGHTS:
            raise UserError(actions.NEWER)
        job = await self.rights.job(actor, job_id, actions.RIGHTS[action])
        if action == "again":  # also of a job that failed
            return actions.repeat_job(job, new_seed(), words)
        if action == "three":
            return actions.three_more(job, new_seed())
        if action == "next":
            return actions.next_sheet(job)
        if action == "hd":
            return actions.in_hd(job)
        if action in OF_VIDEOS:
            new = await self.video_requests.from_button(actor, job, action, index, words, form)
            return self.requests.with_usual_clips(new, words)
        result = await self.rights.result_of(actor, job)
        if action == "others":
            return actions.others_of(result)
        if action == "why":
            return actions.explain_label(result, index)
        children = await self._queue.children(job.id, index)
        new = actions.after_button(result, action, index, words=words, strong=strong, children=children)
        return self.requests.with_usual_clips(new, words)

    async def from_upload(self, actor: Actor, sha256: str, action: str, prompt: Prompt) -> NewJob:
        """Return the job that button ``action`` under a picture that the actor sent stands for.

        prompt: the words that came with it. Raises ImageError when the picture is gone or somebody else's,
        or for a button that there isn't, NotAllowedError for a barred person.
        """
        new = actions.after_upload(await self.sources.uploaded(actor, sha256), action, prompt)
        chosen = await self._members.preferences(actor.user_id)
        return replace(new, lane=prompt.lane or chosen.lane or new.lane)

    async def captions(self, actor: Actor, job_id: str) -> list[str | None]:
        """Return the captions that a job found, as prompts in the described picture's shape; None in place
        of one that breaks a rule where the actor is.

        Raises ImageError or NotAllowedError.
        """
        result = await self.rights.result(actor, job_id, Action.IMAGINE)
        request = result.job.request
        if request.answer is not Answer.CAPTIONS:
            return []
        shape = await self._intake.shape(request.pictures[0]) if request.pictures else None
        captions = await self._moderator.captions(result.captions, actor.place)
        return [caption and caption_prompt(caption, shape) for caption in captions]

    async def shorter(self, actor: Actor, job_id: str) -> list[str]:
        """Return the shorter prompts of a /shorten. Raises ImageError or NotAllowedError."""
        return shorter_prompts((await self.rights.result(actor, job_id, Action.IMAGINE)).scores)

    # Jobs

    def check_kind(self, new: NewJob) -> None:
        """Raise UserError when this version or host can't do such a job; ``submit`` asks it too."""
        if new.made is None and new.request.kind not in self._kinds:
            raise UserError(f"/{new.request.kind} isn't built into this version yet. Nothing was queued.")
        self.requests.check_edit(new.request)

    async def submit(
        self,
        actor: Actor,
        new: NewJob,
        reply: Reply | None = None,
        *,
        key: str | None = None,
        once: str | None = None,
    ) -> Submitted:
        """Queue a job. reply: where Discord's answer goes. key: the same unfinished press is one job. once:
        the same request of the actor's is one job for good. The queue checks bans, time-outs, lists and
        limits of the place as it writes the row. Raises LimitError, NotAllowedError or UserError."""
        self.check_kind(new)
        if actor.guild_id is None:  # of a server, the queue asks the same
            await self.rights.check(actor, Action.ASK)
        await self.styles.check(actor, new.request)
        new = replace(new, request=await self.tastes.ready(actor, new.request))
        asker = (actor.user_id, actor.channel_id, actor.guild_id, actor.parent_channel_id, actor.roles)
        keys: dict[str, Any] = {"request_key": once, "press_key": key, "away": actor.away}
        private = new.private or actor.away
        language = own_language() if private or actor.guild_id is None else shared_language()
        origin = Origin(*asker, private=private, surface=actor.surface, language=language, **keys)
        lane = self._away_lane if actor.away else new.lane
        try:
            given: dict[str, Any] = {"lane": lane, "parent": new.parent, "made": new.made}
            submitted = await self._queue.submit(new.request, origin, reply, **given)
        except Blocked as stopped:
            # a strike is for one's own doing: words that one wrote, a picture that one sent
            own = new.own_words
            if stopped.picture is not None:
                own = await self._queue.people.has_sent(actor.user_id, stopped.picture)
            if own:
                await self._moderator.strike(origin, stopped.rule, stopped.deed)
            raise
        if actor.name:
            await self._queue.people.user_seen(actor.user_id, actor.name)
        return submitted

    async def write_captions(self, actor: Actor, name: str) -> tuple[int, int]:
        """Have captions written of the actor's pictures in a style, for them to change before it is trained;
        return how many are being written, and how many have to be asked for later. Raises UserError,
        NotAllowedError, or LimitError where none can be."""
        wanted, asked = await self.labelling.to_describe(actor, name), 0
        alone = replace(actor, surface=Surface.WEB, guild_id=None, channel_id=0, parent_channel_id=None)
        for key, new in wanted.items():
            try:
                await self.submit(alone, new, once=key)
            except LimitError:
                if not asked:
                    raise
                break
            asked += 1
        return asked, len(wanted) - asked

    async def compare_taste(self, actor: Actor, name: str) -> None:
        """Have pictures drawn with a taste's LoRA and without, for the actor to choose from without knowing
        which is which. Raises UserError, NotAllowedError, or LimitError where there is no room for them."""
        made, jobs = await self.taste_loras.comparison(actor, name), list[str]()
        try:
            for new in chain.from_iterable(made):
                jobs.append((await self.submit(actor, new)).job.id)
        except AtelierError:
            for job_id in jobs:
                await self._queue.cancel(job_id)
            raise
        await self.taste_loras.begin(actor, name, list(zip(jobs[::2], jobs[1::2], strict=True)))

    async def told(self, actor: Actor, job: Job) -> Job:
        """Return a job as it may be told of where the actor is: without words that break a rule there. Raises
        NotAllowedError unless they may see it."""
        await self.rights.check(actor, Action.SHOW, job)
        return await self._moderator.told(job, actor.place)

    async def job_of_message(
        self, actor: Actor, message_id: int, action: Action
    ) -> tuple[Job, int | None] | None:
        """Return the job that a message shows, and which of its pictures alone (from 0; None = all).

        None when the message shows none. Raises NotAllowedError unless the actor may do ``action`` to it.
        """
        found = await self._queue.job_of_message(message_id)
        if found is not None:
            await self.rights.check(actor, action, found[0])
        return found

    async def made(self, actor: Actor, job_id: str, action: Action) -> tuple[Job, Result | None]:
        """Return a job and what it made, None when that is nothing (yet). Raises as ``job`` does."""
        job = await self.rights.job(actor, job_id, action)
        return job, await self.rights.made(actor, job)

    async def picture(self, actor: Actor, job_id: str, index: int, limit: int) -> Shown:
        """Return picture ``index`` (from 0) of a job in at most ``limit`` bytes, as it may be shown where the
        actor is. Raises ImageError or NotAllowedError."""
        result, picture = await self.rights.picture(actor, job_id, index, Action.SHOW)
        return await self._showing.picture_in(actor.place, picture, result.job, limit)

    async def numbered(self, actor: Actor, job_id: str, index: int) -> Shown:
        """Return picture ``index`` (from 0) of a job with its numbered fields drawn over it, as WebP and as
        it may be shown where the actor is. Raises ImageError or NotAllowedError."""
        result, picture = await self.rights.picture(actor, job_id, index, Action.VARY)
        return await self._showing.numbered_in(actor.place, picture, result.job)

    async def watch(self, actor: Actor, job_id: str) -> Watch:
        """Return the events of a job from now on, to its end. Raises ImageError or NotAllowedError."""
        return self._queue.watch((await self.rights.job(actor, job_id, Action.SHOW)).id)

    def news(self, actor: Actor, since: int = 0) -> News:
        """Return what is new about the actor's jobs since the point that the last news ended at. Cheap: it
        may be asked several times a second."""
        self.rights.authority.check(actor, Action.MINE)
        return self._queue.news(actor.user_id, since)

    async def cancel(self, actor: Actor, job_id: str) -> tuple[Job, bool]:
        """Stop a job that waits or runs; its row, and False when it was over. Raises ImageError or
        NotAllowedError."""
        job = await self.rights.job(actor, job_id, Action.CANCEL)
        return job, await self._queue.cancel(job.id)

    async def delete(self, actor: Actor, job_id: str) -> Deleted:
        """Delete a job with its pictures and messages, for good. Raises ImageError or NotAllowedError."""
        job = await self.rights.job(actor, job_id, Action.DELETE)
        return await self._privacy.delete_job(job.origin.user_id, job.id)
