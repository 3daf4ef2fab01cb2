"""From typed words to prompts that can be queued: a member's options and settings, the host's models, sets in
braces, and the pictures that the words name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from core.errors import ImageError, PromptError, UserError
from core.grammar.prompt import Prompt, format_prompt
from core.job import Job
from core.preferences import Preferences, may_name_options, prompts_of
from core.requests import EditRequest, GenerateRequest, ImagineRequest, Request
from core.settings import Settings
from core.wording import numbered, prompt_of, references, with_defaults
from storage.members import Favourite, Members
from studio.actor import Actor
from studio.asking import actions
from studio.asking.new_job import NewJob, new_seed
from studio.asking.sources import Given, Sources
from studio.pictures.intake import Readable
from studio.styles.naming import Styles, configured
from vision.families.editors import editing

MAX_PICTURES = 10  # of one prompt
PROFILE = tuple(f"<{n}>" for n in range(96, 100))  # what the pictures of --p are called inside


class Prompts:
    """Reads what members type."""

    def __init__(self, members: Members, settings: Settings, sources: Sources, styles: Styles) -> None:
        self._members, self._settings, self._sources, self._styles = members, settings, sources, styles

    async def read(
        self, user_id: int, text: str, chosen: Preferences | None, *, film: bool = False
    ) -> list[Prompt]:
        """Return every prompt that ``text`` stands for, with the member's own options.

        chosen: the member's settings, used where the words say nothing; None leaves them out. film: all are
        for films, whether they say so or not. Raises PromptError, which says what is wrong.
        """
        own = await self._members.options(user_id) if may_name_options(text) else {}
        prompts = [replace(prompt, video=prompt.video or film) for prompt in prompts_of(text, own)]
        if chosen is not None:
            prompts = [with_defaults(one, _defaults_for(one, chosen.defaults)) for one in prompts]
            if chosen.sticky:
                prompts = await self._sticky(user_id, prompts)
        return [self.known(prompt) for prompt in prompts]

    async def single(
        self, user_id: int, text: str, chosen: Preferences | None = None, *, film: bool = False
    ) -> Prompt:
        """Return a prompt that must be a single one, as for something that has its settings already.

        Raises PromptError, also for sets in braces and --repeat.
        """
        prompts = await self.read(user_id, text, chosen, film=film)
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
        """Return ``prompts`` with what --p stands for, and all pictures that they name: name → SHA-256.

        given: pictures by the names that the prompts use (``<1>``, a link); those that no prompt names are
        taken in as well. known: name → SHA-256 of pictures that the actor may use. Raises PromptError or
        ImageError for what can't be found, NotAllowedError for somebody else's picture.
        """
        pairs = [await self._profile(actor, prompt) for prompt in prompts]
        ready = [await self._styles.ready(actor, prompt) for prompt, _ in pairs]
        found = {name: sha256 for _, profile in pairs for name, sha256 in profile.items()} | dict(known or {})
        left = {name: one for name, one in (given or {}).items() if name not in found}
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

    def known(self, prompt: Prompt) -> Prompt:
        """Return a prompt with its model as the host spells it. Raises PromptError if unknown."""
        settings = self._settings
        models = settings.film_models if prompt.video else settings.image_models
        model = (
            configured("model", prompt.model, models)
            if prompt.model
            else model_of_version(prompt.version, models)
        )
        return replace(prompt, model=model)

    def check_edit(self, request: Request) -> None:
        """Raise UserError for an edit where nothing changes pictures as words say, or not the named model."""
        if not isinstance(request, EditRequest):
            return
        models, named = self._settings.image_models, request.model
        usual = self._settings.models.get("edit")
        if usual is None:
            raise UserError(
                "This studio has no model that changes pictures as words say. Its host can set one as"
                f" EDIT_MODEL: {editing()} can."
            )
        if named and named != usual and models.get(named) != usual:
            known = " or ".join(f"`{name}`" for name, spec in models.items() if spec == usual)
            instead = f"name {known}, or none" if known else "leave it out"
            raise UserError(f"`model` is `{named}`, which isn't this studio's model for edits; {instead}.")

    async def _sticky(self, user_id: int, prompts: list[Prompt]) -> list[Prompt]:
        """Return ``prompts`` with the style of the member's last pictures, where a prompt names none."""
        last = await self._members.last_style(user_id)
        if last is None or not isinstance(last.request, ImagineRequest):
            return prompts
        before = prompt_of(last.request)
        codes = tuple((what, weight) for what, weight in before.style_references if what.isdigit())
        style = Prompt(style_references=codes, style_weight=before.style_weight) if codes else Prompt()
        return [prompt if prompt.video else with_defaults(prompt, style) for prompt in prompts]

    async def _profile(self, actor: Actor, prompt: Prompt) -> tuple[Prompt, dict[str, str]]:
        """Return ``--p`` as style references to the member's newest favourites, and their SHA-256."""
        if prompt.profile is None:
            return prompt, {}
        if prompt.profile:
            return replace(
                prompt, profile=None, unsupported=(*prompt.unsupported, f"--profile {prompt.profile}")
            ), {}
        kept = await self._favourites(actor)
        if not kept:
            raise PromptError(
                "`--p` uses the style of your favourites, and you have none yet: press ❤️ under pictures"
                " that you like."
            )
        found = dict(zip(PROFILE, (favourite.sha256 for favourite in kept), strict=False))
        style = (*prompt.style_references, *((name, 1.0) for name in found))
        return replace(prompt, profile=None, style_references=style), found

    async def _favourites(self, actor: Actor) -> list[Favourite]:
        """Return the newest favourites that the actor can look at, as many as a profile takes."""
        found: list[Favourite] = []
        for favourite in await self._members.favourites(actor.user_id, limit=4 * len(PROFILE)):
            if len(found) < len(PROFILE) and await self._sources.is_seen(actor, favourite.job_id):
                found.append(favourite)
        return found


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


def attached(pictures: Iterable[Readable]) -> dict[str, Given]:
    """Return pictures that came along with a prompt by the names that it can call them: ``<1>``, ``<2>`` …"""
    return {f"<{n}>": picture for n, picture in enumerate(pictures, 1)}


def with_attached(prompt: Prompt, count: int) -> Prompt:
    """Return a prompt with ``count`` attached pictures; those that its words don't name come first."""
    named = prompt.pictures
    rest = tuple((name, 1.0) for name in (f"<{n}>" for n in range(1, count + 1)) if name not in named)
    return replace(prompt, images=(*rest, *prompt.images))


def check_imagine(prompt: Prompt) -> None:
    """Raise PromptError for what an /imagine can't do, as far as it shows before a picture is fetched."""
    if prompt.video:
        check_film(prompt)
        return
    if prompt.strength is not None and not prompt.images:
        raise PromptError(
            "`--strength` says how far to move from a picture; attach one as `image`, or leave it out."
        )
    if not prompt.text and not prompt.images:
        raise PromptError(
            "The prompt is empty. Say what you want to see, for example `a red house in the snow`."
        )


def check_film(prompt: Prompt) -> None:
    """Raise PromptError for what a new film can't be, as far as it shows before a picture is fetched."""
    if len(prompt.images) > 1:
        raise PromptError(
            f"There are {len(prompt.images)} pictures; a film starts from one. Name its last one with `--end"
            " <2>`."
        )
    if prompt.end and not prompt.images:
        raise PromptError("A last picture needs a first one. Attach it as `image`, before `--end`.")
    if prompt.loop and prompt.end:
        raise PromptError("A loop ends on its first picture, so `--loop` and `--end` don't go together.")
    if not prompt.text and not prompt.images:
        raise PromptError(
            "The prompt is empty. Say what the film should show, for example `a red boat sails to the left`."
        )


def _defaults_for(prompt: Prompt, defaults: Prompt) -> Prompt:
    """Return those of a member's settings that act on what is asked for: a film has few of a picture's."""
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


def remix_text(job: Job) -> str:
    """Return a job's prompt to be changed; its pictures as numbers."""
    if isinstance(job.request, GenerateRequest):
        return format_prompt(prompt_of(job.request))
    return str(getattr(job.request, "prompt", ""))


def pictures_of(job: Job) -> dict[str, str]:
    """Return what the numbers in ``remix_text`` stand for: name → SHA-256."""
    return numbered(references(job.request)) if isinstance(job.request, GenerateRequest) else {}
