"""From typed words to jobs, or to a question back: one's options and settings, the host's models, sets in
braces, and the pictures and masks that come along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from core.convert import (
    Preferences,
    may_name_options,
    numbered,
    prompt_of,
    prompts_of,
    references,
    with_defaults,
)
from core.errors import ImageError, ModelError, NotAllowedError, PromptError, UserError
from core.job import Job, new_seed
from core.prompt.parser import FLAGS, MAX_JOBS, REFERENCES, Prompt, format_prompt, parse_prompt, raise_faults
from core.prompt.values import OWN_STYLE
from core.requests import AskRequest, EditRequest, GenerateRequest, ImagineRequest, Request
from core.requests.chat import Form
from core.requests.images import MAX_MORE_IMAGES, SAY_WHAT
from core.requests.video import VideoRequest
from jobs.executors.base import is_processor
from storage import wall
from storage.members import Members
from studio.authority import Action, Actor
from studio.inputs import Given, Sources
from studio.media.uploads import Intake, Readable
from studio.new_job import NewJob, PromptWithPictures, Source
from studio.projects.inference import Styles, configured
from studio.requests import actions
from studio.requests.chat import Talking
from studio.requests.video import NOT_HERE, Asked, Material, VideoRequests
from studio.rights import Rights
from studio.services import Services
from studio.texts import caption_prompt, job_name, offered
from vision.families import Family, editing
from vision.weights import card, files, hub

MAX_PICTURES = 10  # of one prompt
Build = Callable[[Source, PromptWithPictures | None], Awaitable[NewJob]]
OF_CODES = tuple(f"<{n}>" for n in range(92, 96))  # what the pictures of codes of one's own are called inside


@dataclass(frozen=True)
class Question:
    """Several jobs, kept until their asker says whether so many are meant. times: how often each prompt is
    drawn."""

    draft_id: str
    times: Counter[str]


@dataclass(frozen=True)
class TypedPrompts:
    """What words for /imagine ask for, before any picture is fetched: whoever has to say early who will see
    the answer knows it by then. came_from: the job and number that the words come from."""

    requests: Requests
    actor: Actor
    prompts: Sequence[Prompt]
    came_from: tuple[Job, int] | None = None

    @property
    def private(self) -> bool:
        """Whether the first job is for its asker alone."""
        return bool(self.prompts[0].private)

    @property
    def count(self) -> int:
        """How many jobs it makes."""
        return sum(prompt.repeat or 1 for prompt in self.prompts)

    @property
    def pictures(self) -> list[str]:
        """What the words call pictures: ``<n>`` or a link."""
        return [name for prompt in self.prompts for name in prompt.pictures]

    async def jobs(self, given: Mapping[str, Given] | None = None) -> list[NewJob]:
        """Return every job. given: files and names of pictures by what the words call them. Raises
        PromptError, ImageError or NotAllowedError."""
        return jobs_of(*await self.requests.with_pictures(self.actor, self.prompts, given))

    async def job_or_question(self, given: Mapping[str, Given] | None = None) -> NewJob | Question:
        """Return the one job, or for several a question whether they are meant. Raises as ``jobs`` does."""
        if self.count > 1:
            return await self.requests.keep_question(self.actor, self.prompts, given)
        if self.came_from is not None:
            await self.requests.rights.job(self.actor, self.came_from[0].id, Action.IMAGINE)
        [new] = await self.jobs(given)
        if self.came_from is None:
            return new
        job, index = self.came_from
        offered = await self.requests.has_offered(job.id, self.prompts[0].text)
        return replace(new, parent=(job.id, index), own_words=not offered)


@dataclass(frozen=True)
class TypedVideo:
    """What is asked of videos, before any file is fetched. do: one of ``OPERATIONS``."""

    requests: Requests
    actor: Actor
    do: str
    prompt: Prompt
    asked: Asked
    material: Material

    @property
    def private(self) -> bool:
        """Whether it is for its asker alone, as far as the words and settings say."""
        return bool(self.prompt.private)

    async def job(self, linked: Mapping[str, Given] | None = None) -> NewJob:
        """Return the job. linked: pictures that the words link to, by what they are called.

        Raises ImageError for a file that isn't taken or a video that isn't there, NotAllowedError for who may
        not ask, or somebody else's video.
        """
        await self.requests.rights.check(self.actor, Action.ASK)
        if self.do == "new":
            along = [one for one in (self.material.image, self.material.last) if one is not None]
            given = attached(along) | dict(linked or {})
            [ready], found = await self.requests.with_pictures(self.actor, [self.prompt], given)
            new = actions.new_video(ready, found)
        else:
            new = await self._from_clips()
        return new.chosen(self.prompt.lane, private=self.private)

    async def _from_clips(self) -> NewJob:
        videos, actor, material, prompt = self.requests.videos, self.actor, self.material, self.prompt
        assert material.clip is not None
        right = Action.BLEND if self.do == "blend" else Action.USE
        clip = await videos.clip(actor, material.clip, right)
        if self.do == "cut":
            return await videos.cut(clip, self.asked.start or 0.0, self.asked.end)
        if not prompt.text and (made_by := clip.request):  # of flags alone: the words that it was made of
            prompt = replace(
                prompt,
                text=made_by.prompt,
                parts=made_by.prompt_parts,
                negative_prompt=prompt.negative_prompt or made_by.negative_prompt,
            )
        words = PromptWithPictures(prompt, {})
        if self.do == "blend":
            assert material.clip_2 is not None
            return actions.blend_videos(clip, await videos.clip(actor, material.clip_2, right), words)
        if self.do == "loop":
            return actions.loop_video(clip, words)
        if self.do == "remix":
            return actions.remix_video(clip, words)
        return actions.extend_video(clip, "extend" if self.do == "extend" else "extend_back", None, words)


@dataclass(frozen=True)
class TypedEdit:
    """What words say of a picture or video of ours, before any other that they name is fetched. known: the
    pictures that numbers in the words mean."""

    requests: Requests
    actor: Actor
    prompt: Prompt | None
    chosen: Preferences
    known: Mapping[str, str]

    @property
    def private(self) -> bool:
        """Whether what is made is for its asker alone, as far as the words and settings say."""
        said = self.prompt.private if self.prompt else None
        return self.chosen.private if said is None else said

    @property
    def pictures(self) -> Sequence[str]:
        """What the words call pictures: ``<n>`` or a link."""
        return self.prompt.pictures if self.prompt else ()

    async def words(self, given: Mapping[str, Given] | None = None) -> PromptWithPictures | None:
        """Return the words with their pictures found, None where there are none; arguments and errors are
        those of ``with_pictures``."""
        if self.prompt is None:
            return None
        [ready], found = await self.requests.with_pictures(self.actor, [self.prompt], given, self.known)
        return PromptWithPictures(ready, found)

    async def job(self, source: Source, build: Build, given: Mapping[str, Given] | None = None) -> NewJob:
        """Return what ``build`` makes of a picture and the words, at the speed that they or the settings
        name. Raises as ``words`` does."""
        new = await build(source, await self.words(given))
        return replace(new, lane=(self.prompt and self.prompt.lane) or self.chosen.lane or new.lane)


class Requests:
    """Turns what members type into jobs to queue, or into a question to them. videos: finds those that are
    worked on. talking: finds what questions are about."""

    def __init__(
        self,
        rights: Rights,
        services: Services,
        sources: Sources,
        styles: Styles,
        videos: VideoRequests,
        talking: Talking,
    ) -> None:
        self.rights, self.videos, self._talking = rights, videos, talking
        self._queue, self._members = services.queue, Members(services.database)
        self._settings, self._sources, self._styles = services.settings, sources, styles
        self._database = services.database

    async def imagine(
        self,
        actor: Actor,
        text: str,
        chosen: Preferences | None,
        *,
        attached: int = 0,
        came_from: tuple[Job, int] | None = None,
    ) -> TypedPrompts:
        """Return what ``text`` asks for. chosen: the actor's settings, used where the words say nothing.

        attached: pictures that come along, ``<1>`` and so on. came_from: the job and number that the words
        come from; what comes from a private one is private. Raises PromptError.
        """
        faults: list[str] = []
        read = await self._read(actor, text, chosen, faults=faults)
        prompts = [with_attached(prompt, attached) for prompt in read]
        for prompt in prompts:
            try:
                check_imagine(prompt)
            except PromptError as error:
                faults.append(str(error))
        raise_faults(faults)
        if came_from is not None and came_from[0].origin.private:
            prompts = [replace(prompt, private=True) for prompt in prompts]
        return TypedPrompts(self, actor, prompts, came_from)

    async def imagine_each(
        self, actor: Actor, texts: Sequence[str], chosen: Preferences | None
    ) -> TypedPrompts:
        """Return what single prompts ask for, each once. Raises PromptError."""
        read = [(await self.imagine(actor, text, chosen)).prompts[0] for text in texts]
        return TypedPrompts(self, actor, [replace(prompt, repeat=None) for prompt in read])

    async def video(
        self, actor: Actor, asked: Asked, material: Material, chosen: Preferences | None
    ) -> TypedVideo:
        """Return what is asked of videos. chosen: the actor's settings. Raises PromptError or UserError,
        which says what is wrong."""
        if not self.videos.is_possible:
            raise UserError(NOT_HERE)
        do = material.operation(asked)
        typed = await self.read_prompt(actor, asked.text, chosen, video=True)
        prompt = self.with_model(asked.over(typed))
        if do == "new":
            if material.last is not None and prompt.end is None:
                prompt = replace(prompt, end="<2>" if material.image is not None else "<1>")
            prompt = with_attached(prompt, 1 if material.image is not None else 0)
            check_video(prompt)
        elif do == "remix" and not prompt.text:
            raise UserError("Say what the video should show instead, for example `the same boat at night`.")
        return TypedVideo(self, actor, do, prompt, asked, material)

    async def edit(
        self,
        actor: Actor,
        text: str | None,
        chosen: Preferences | None = None,
        *,
        job: Job | None = None,
        video: bool = False,
    ) -> TypedEdit:
        """Return what ``text`` says of a picture, None = nothing. chosen: the actor's settings, for who sees
        it and how fast. job: whose pictures its numbers mean. video: it is for one. Raises PromptError."""
        prompt = None if text is None else await self.read_prompt(actor, text, video=video)
        known = pictures_by_number(job) if job else {}
        return TypedEdit(self, actor, prompt, chosen or Preferences(), known)

    async def ask(
        self,
        actor: Actor,
        question: str,
        given: Sequence[Given],
        chosen: Preferences,
        form: Form | None = None,
        *,
        follows: str | None = None,
    ) -> NewJob:
        """Return a question about pictures or a video; where it ``follows`` the answer of a job, that job's
        next turn, in its form if that was short and none is named.

        given: files, a video among them, names of ours such as "abcd2345efgh 2", SHA-256 of what the actor
        has sent, or what ``Talking.keep_video`` calls a video. chosen: the actor's settings. Raises UserError
        for a question that isn't taken, ImageError for a picture or video, or where there is no such answer,
        NotAllowedError for who may not ask, or not there, or somebody else's picture.
        """
        await self.rights.check(actor, Action.ASK)
        before = None
        if follows is not None:
            result = await self.rights.result(actor, follows, Action.ASK_MORE)
            before, asked = result.job, result.job.request
            if not isinstance(asked, AskRequest) or result.answer is None:
                raise ImageError(f"Job `{before.id}` isn't an answer; it is “{job_name(asked)}”.")
            form = form or ("short" if asked.form == "short" else None)  # after a table people ask about it
        found = await self._talking.material(actor, given)
        form = form or "free"
        self._talking.check_question(question, form)
        request = AskRequest(
            question=question.strip(), form=form, follows=before is not None, **found.fields()
        )
        new = NewJob(request, parent=found.parent, private=found.private)
        if before is not None:
            new = NewJob(request, before.lane, (before.id, 0), before.origin.private or found.private)
        return new.chosen(chosen.lane, private=chosen.private)

    async def _read(
        self,
        actor: Actor,
        text: str,
        chosen: Preferences | None,
        *,
        video: bool = False,
        faults: list[str] | None = None,
    ) -> list[Prompt]:
        """Return every prompt that ``text`` stands for, with the actor's own options and settings. video: all
        are for videos, whether they say so or not. faults: see ``parse_prompt``."""
        own = await self._members.options(actor.user_id) if may_name_options(text) else {}
        wrong: list[str] = [] if faults is None else faults
        read = prompts_of(text, own, faults=wrong)
        prompts = [replace(prompt, video=prompt.video or video) for prompt in read]
        if chosen is not None:
            prompts = [with_defaults(one, _defaults_for(one, chosen.defaults)) for one in prompts]
            if chosen.sticky:
                prompts = await self._sticky(actor.user_id, prompts)
        found = []
        for prompt in prompts:
            try:
                found.append(self._check_sheet(self.with_model(await self._check_codes(prompt))))
            except PromptError as error:
                wrong.append(str(error))
                found.append(prompt)
        if faults is None:
            raise_faults(wrong)
        return found

    async def _check_codes(self, prompt: Prompt) -> Prompt:
        """Return the prompt. Raises PromptError for a code of pictures that nobody has made."""
        for what, _ in prompt.style_references:
            if OWN_STYLE.fullmatch(what) is not None:
                if await self._database.read(partial(wall.style_of, code=what)) is None:
                    raise PromptError(
                        f"Nobody has made the style code `{what}`; the wall of styles makes one."
                    )
        return prompt

    async def _with_codes(self, actor: Actor, prompt: Prompt) -> tuple[Prompt, dict[str, str]]:
        """Return a prompt with the number of the style that each code of somebody's pictures stands for; and
        of the actor's own codes some of the pictures, where the model is shown pictures."""
        found, shown = list[tuple[str, float]](), dict[str, str]()
        for what, weight in prompt.style_references:
            if OWN_STYLE.fullmatch(what) is None:
                found.append((what, weight))
                continue
            number = await self._database.read(partial(wall.style_of, code=what))
            found.append((str(number), weight))
            mine, family = partial(wall.pictures_of, user_id=actor.user_id, code=what), self._family(prompt)
            adapts = family is not None and family.adapts and bool(self._settings.ip_adapter)
            takes = family is not None and (adapts or family.references > 0)
            for job_id, index in await self._database.read(mine) if takes else ():
                if len(shown) < len(OF_CODES) and await self._sources.is_seen(actor, job_id):
                    with suppress(ImageError):
                        name = OF_CODES[len(shown)]
                        shown[name] = (await self._sources.meant(actor, f"{job_id} {index + 1}")).sha256
                        found.append((name, weight))
        return replace(prompt, style_references=tuple(found)), shown

    def _check_sheet(self, prompt: Prompt) -> Prompt:
        """Return the prompt. Raises PromptError for a sheet of a model that can't draw from a picture."""
        family = self._family(prompt) if prompt.sheet and not prompt.video else None
        if family is not None and family.image is None:
            raise PromptError(
                f"`--sheet` needs a model that can begin at a picture, and {family.title} can't: none of its"
                " drafts could be drawn in full. Use `--draft`, or another `--model`."
            )
        return prompt

    def _family(self, prompt: Prompt) -> Family | None:
        """Return the family of a prompt's model, None where its files aren't there or can't be read."""
        spec = self._settings.image_models.get(prompt.model or "") or self._settings.models["image"]
        try:
            path = hub.find_downloaded(files.parse(spec), self._settings.data_dir / "cache")
            return card.family_and_card(path)[0] if path is not None else None
        except ModelError:  # the worker says what is wrong with it
            return None

    async def read_prompt(
        self, actor: Actor, text: str, chosen: Preferences | None = None, *, video: bool = False
    ) -> Prompt:
        """Return a prompt that must be a single one, as for something that has its settings already.

        video: it is for one, whether it says so or not. Raises PromptError, also for sets in braces and
        --repeat.
        """
        prompts = await self._read(actor, text, chosen, video=video)
        if len(prompts) > 1 or (prompts[0].repeat or 1) > 1:
            raise PromptError("You can use only one prompt here: leave out sets in braces and `--repeat`.")
        return prompts[0]

    async def with_pictures(
        self,
        actor: Actor,
        prompts: Sequence[Prompt],
        given: Mapping[str, Given] | None = None,
        known: Mapping[str, str] | None = None,
    ) -> tuple[list[Prompt], dict[str, str]]:
        """Return ``prompts`` with their styles found, and all pictures that they name: name → SHA-256.

        given: pictures by the names that the prompts use (``<1>``, a link); those that no prompt names are
        taken in as well. known: name → SHA-256 of pictures that the actor may use. Raises PromptError or
        ImageError for what can't be found, NotAllowedError for somebody else's picture.
        """
        if given or any(prompt.pictures for prompt in prompts):  # of words alone, the queue asks the same
            await self.rights.check(actor, Action.ASK)
        coded = [await self._with_codes(actor, prompt) for prompt in prompts]
        ready = [await self._styles.ready(actor, prompt) for prompt, _ in coded]
        found = {name: sha256 for _, shown in coded for name, sha256 in shown.items()} | dict(known or {})
        left = {name: one for name, one in (given or {}).items() if name not in found}
        ready = [_without_links(prompt, {*found, *left}) for prompt in ready]
        links = [name for prompt in ready for name in prompt.pictures if name.lower().startswith("http")]
        if unknown := [name for name in links if name not in found and name not in left]:
            raise ImageError(
                f"`{unknown[0][:100]}` doesn't lead to a picture I can use; attach the picture itself."
            )
        if len(left) + len(found) > MAX_PICTURES:
            raise ImageError(
                f"There are {len(left) + len(found)} pictures in this prompt; the limit is {MAX_PICTURES}."
            )
        return ready, found | {
            name: (await self._sources.meant(actor, one)).sha256 for name, one in left.items()
        }

    @property
    def _makes_one_video(self) -> bool:
        """Whether a job makes one video unless it says more: each takes minutes of a video model, and too
        long of a processor."""
        devices = (device for device in self._queue.executor.devices if not device.only)
        slow = all(is_processor(device.name) for device in devices)
        return slow or "video" in self._settings.models

    def with_model(self, prompt: Prompt) -> Prompt:
        """Return a prompt with its model as the host spells it, and with one video where that is usual.
        Raises PromptError if unknown."""
        settings = self._settings
        models = settings.video_choices if prompt.video else settings.image_models
        model = (
            configured("model", prompt.model, models)
            if prompt.model
            else model_of_version(prompt.version, models)
        )
        clips = 1 if prompt.video and self._makes_one_video else None
        return replace(prompt, model=model, clips=prompt.clips or clips)

    def with_usual_clips(self, new: NewJob, words: PromptWithPictures | None) -> NewJob:
        """Return a button's job with one video where that is usual, unless ``words`` say more."""
        asked = words is not None and words.prompt.clips
        if not isinstance(new.request, VideoRequest) or asked or not self._makes_one_video:
            return new
        return replace(new, request=replace(new.request, num_images=1))

    def check_edit(self, request: Request) -> None:
        """Raise UserError for an edit where nothing changes pictures as words say, or not the named model."""
        if not isinstance(request, EditRequest):
            return
        models, named = self._settings.image_models, request.model
        usual = self._settings.models.get("edit")
        if usual is None:
            raise UserError(
                f"Editing by words isn't set up here. The operator can set EDIT_MODEL to {editing()}."
            )
        if named and named != usual and models.get(named) != usual:
            known = " or ".join(f"`{name}`" for name, spec in models.items() if spec == usual)
            instead = f"name {known}, or none" if known else "leave it out"
            raise UserError(f"`model` is `{named}`, which isn't this studio's model for edits; {instead}.")

    async def keep_question(
        self, actor: Actor, prompts: Sequence[Prompt], given: Mapping[str, Given] | None = None
    ) -> Question:
        """Keep what would become several jobs until their asker confirms them: pictures are taken in now,
        their links don't live long. Raises as ``with_pictures`` does."""
        ready, found = await self.with_pictures(actor, prompts, given)
        await self.rights.check(actor, Action.ASK)
        times: Counter[str] = Counter()
        for prompt in ready:
            times[format_prompt(replace(prompt, repeat=None))] += prompt.repeat or 1
        texts = [format_prompt(prompt) for prompt in ready]
        content = {"prompts": texts, "pictures": found, "count": times.total()}
        return Question(await self._members.add_draft(actor.user_id, content), times)

    async def confirmed(self, actor: Actor, draft_id: str) -> list[NewJob]:
        """Return the jobs of a question. Raises UserError when it is gone, NotAllowedError for somebody
        else's."""
        found = await self._members.draft(draft_id)
        if found is None or "prompts" not in found[1]:
            raise UserError("This question has expired; type the prompt again.")
        author, content = found
        if author != actor.user_id:
            raise NotAllowedError("This question was for somebody else.")
        return jobs_of([parse_prompt(text) for text in content["prompts"]][:MAX_JOBS], content["pictures"])

    async def has_offered(self, job_id: str, text: str) -> bool:
        """Return whether ``text`` is the very words that a job has found, or answered with."""
        result = await self._queue.result(job_id)
        found = offered(result) if result else ()
        return text in (parse_prompt(caption_prompt(caption, None)).text for caption in found)

    async def _sticky(self, user_id: int, prompts: list[Prompt]) -> list[Prompt]:
        """Return ``prompts`` with the style of the member's last pictures, where a prompt names none."""
        last = await self._members.last_style(user_id)
        if last is None or not isinstance(last.request, ImagineRequest):
            return prompts
        before = prompt_of(last.request)
        codes = tuple((what, weight) for what, weight in before.style_references if what.isdigit())
        style = Prompt(style_references=codes, style_weight=before.style_weight) if codes else Prompt()
        return [prompt if prompt.video else with_defaults(prompt, style) for prompt in prompts]


def model_of_version(version: str | None, models: Collection[str]) -> str | None:
    """Return which of the host's ``models`` is named for a version of Midjourney's, if any: "6.1" → v6.1 or
    v6, "niji 6" → niji6 or niji."""
    if version is None:
        return None
    names = {name.lower(): name for name in models}
    wanted = (
        [version.replace(" ", ""), "niji"]
        if version.startswith("niji")
        else [f"v{version}", f"v{version.partition('.')[0]}"]
    )
    return next((names[name] for name in wanted if name in names), None)


def attached(pictures: Iterable[Given]) -> dict[str, Given]:
    """Return pictures that came along with a prompt by the names that it can call them: ``<1>``, ``<2>`` …"""
    return {f"<{n}>": picture for n, picture in enumerate(pictures, 1)}


def with_attached(prompt: Prompt, count: int) -> Prompt:
    """Return a prompt with ``count`` attached pictures; those that its words don't name come first."""
    named = prompt.pictures
    if prompt.edit:  # the others come behind those that it names
        more = tuple((name, 1.0) for name in (f"<{n}>" for n in range(1, count + 1)) if name not in named)
        return replace(prompt, edit=(*prompt.edit, *more))
    rest = tuple((name, 1.0) for name in (f"<{n}>" for n in range(1, count + 1)) if name not in named)
    return replace(prompt, images=(*rest, *prompt.images))


def _without_links(prompt: Prompt, found: Collection[str]) -> Prompt:
    """Return a prompt whose references that link to nothing ``found`` are noted as without effect."""
    for flag in (flag for flag in FLAGS if flag.field in REFERENCES):
        pairs = getattr(prompt, flag.field)
        lost = tuple(pair for pair in pairs if pair[0].lower().startswith("http") and pair[0] not in found)
        if lost:
            changes: dict[str, Any] = {flag.field: tuple(pair for pair in pairs if pair not in lost)}
            prompt = replace(prompt, unsupported=(*prompt.unsupported, flag.typed(lost)), **changes)
    return prompt


def check_imagine(prompt: Prompt) -> None:
    """Raise PromptError for what an /imagine can't do, as far as it shows before a picture is fetched."""
    if prompt.sheet:
        check_sheet(prompt)
    if prompt.video and prompt.edit:
        raise PromptError("`--edit` and `--video` don't go together: change the picture, then animate it.")
    if prompt.video:
        check_video(prompt)
        return
    if prompt.edit:
        check_edit_prompt(prompt)
        return
    if prompt.strength is not None and not prompt.images:
        raise PromptError(
            "`--strength` says how far to move from a picture; attach one as `image`, or leave it out."
        )
    if not prompt.text and not prompt.images:
        raise PromptError(
            "The prompt is empty. Say what you want to see, for example `a red house in the snow`."
        )


def check_sheet(prompt: Prompt) -> None:
    """Raise PromptError for what a sheet of drafts can't be."""
    others = {"video": prompt.video, "edit": prompt.edit, "repeat": (prompt.repeat or 1) > 1}
    others |= {"hd": prompt.hd, "think": prompt.think}
    if named := next((name for name, given in others.items() if given), None):
        raise PromptError(
            f"`--sheet` makes quick drafts, so `--{named}` doesn't go with it. Leave one out; what you choose"
            " from the sheet is drawn in full."
        )


def check_edit_prompt(prompt: Prompt) -> None:
    """Raise PromptError for what a change by words can't be, as far as it shows before a picture is
    fetched."""
    if len(prompt.edit) > 1 + MAX_MORE_IMAGES:
        raise PromptError(f"`--edit` has {len(prompt.edit)} pictures; it takes 1 to {1 + MAX_MORE_IMAGES}.")
    if not prompt.text:
        raise PromptError(SAY_WHAT)
    if prompt.tile:
        raise PromptError("`--edit` and `--tile` don't go together: a changed picture has its own edges.")
    if prompt.omni_references:
        raise PromptError(
            "`--edit` and `--oref` don't go together: name the object's picture behind `--edit`, too, and say"
            " where it goes, for example `put the cat of 2 next to the house --edit <1> <2>`."
        )
    if prompt.images:
        raise PromptError("`--edit` takes all the pictures of a change; name each of them behind it.")


def check_video(prompt: Prompt) -> None:
    """Raise PromptError for what a new video can't be, as far as it shows before a picture is fetched."""
    if len(prompt.images) > 1:
        raise PromptError(
            f"There are {len(prompt.images)} pictures; a video starts from one. Name its last one with `--end"
            " <2>`."
        )
    if prompt.end and not prompt.images:
        raise PromptError("A last picture needs a first one. Attach it as `image`, before `--end`.")
    if prompt.loop and prompt.end:
        raise PromptError("A loop ends on its first picture, so `--loop` and `--end` don't go together.")
    if not prompt.text and not prompt.images:
        raise PromptError(
            "The prompt is empty. Say what the video should show, for example `a red boat sails to the left`."
        )


def _defaults_for(prompt: Prompt, defaults: Prompt) -> Prompt:
    """Return those of a member's settings that act on what is asked for: a video has few of a picture's."""
    if not prompt.video:
        return defaults
    acting = (
        "negative_prompt",
        "raw",
        "draft",
        "lane",
        "private",
        "motion",
        "seconds",
        "resolution",
        "clips",
    )
    return Prompt(**{name: getattr(defaults, name) for name in (*acting, "sound", "fps")})


def jobs_of(prompts: Sequence[Prompt], pictures: Mapping[str, str]) -> list[NewJob]:
    """Return one /imagine for each prompt and repeat. A repeat of a prompt with a seed counts on from it."""
    found = []
    for prompt in prompts:
        for number in range(prompt.repeat or 1):
            seed = None if prompt.seed is None else (prompt.seed + 4 * number) % 2**32
            found.append(actions.imagine_prompt(replace(prompt, seed=seed), pictures, seed=new_seed()))
    return found


def remix_text(job: Job, seed: int | None = None) -> str:
    """Return a job's prompt to be changed; its pictures as numbers. seed: of its picture that is meant."""
    if isinstance(job.request, GenerateRequest):
        return format_prompt(prompt_of(job.request.of_seed(seed)))
    return str(getattr(job.request, "prompt", ""))


def pictures_by_number(job: Job) -> dict[str, str]:
    """Return what the numbers in ``remix_text`` stand for: name → SHA-256."""
    return numbered(references(job.request)) if isinstance(job.request, GenerateRequest) else {}


Kind = Literal["any", "mask"]


class Regions:
    """Turns what somebody painted over a picture into a request."""

    def __init__(self, rights: Rights, sources: Sources, intake: Intake) -> None:
        self._rights, self._sources, self._intake = rights, sources, intake

    async def ask(
        self,
        actor: Actor,
        job_id: str,
        index: int,
        mask: Readable,
        words: PromptWithPictures | None = None,
        *,
        kind: Kind = "any",
    ) -> NewJob:
        """Return the job that draws picture ``index`` (from 0) of a job once more where ``mask`` marks it.

        mask: an encoded picture, at most MAX_UPLOAD_MB. kind "any": what people send, which is guessed at:
        black and white of the same shape, white = redrawn, or the picture itself with the part erased or
        painted over. kind "mask": opaque black and white of exactly the picture's size; nothing is guessed
        or scaled. words: None = the picture's own.

        Raises NotAllowedError unless the actor may vary the job; ImageError for no job, picture or mask.
        """
        job = await self._rights.job(actor, job_id, Action.VARY)
        source = await self._sources.of_result(await self._rights.result_of(actor, job), index)
        sha256 = await self.marked(actor, source, mask, kind)
        return actions.redraw_region(source, words, mask=sha256).in_lane_of(job, words)

    async def marked(self, actor: Actor, source: Source, mask: Readable, kind: Kind = "any") -> str:
        """Return the SHA-256 of what ``mask`` marks on ``source``, stored as black and white.

        Raises ImageError, which says what is wrong with the mask, and as ``Sources.check_upload`` does.
        """
        await self._sources.check_upload(actor)
        return await self._intake.take_mask(mask, actor.user_id, source.sha256, exact=kind == "mask")
