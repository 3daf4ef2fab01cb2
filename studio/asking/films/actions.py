"""What each button under pictures and films, and each operation of ``/video``, makes: the next request. Pure
but for random seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.convert import film_fields_of
from core.errors import UserError
from core.job import Job, Lane
from core.prompt.parser import Prompt, format_prompt
from core.requests import GenerateRequest
from core.requests.video import CutRequest, FrameRequest, VideoRequest, usual_clips
from studio.asking.films.sources import FilmSource
from studio.asking.new_job import NewJob, PromptWithPictures, Source, adds_words, new_seed
from studio.authority import Action

MOTIONS_OF = {"anilow": "low", "anihigh": "high"}  # buttons under pictures
EXTENDS = {"extlow": ("extend", "low"), "exthigh": ("extend", "high"), "extback": ("extend_back", None)}
OF_FILMS = (*EXTENDS, "loop", "vremix", "vblend", "cut", "lastframe")  # buttons that make a job of a film
RIGHTS = {  # button → what its presser must be allowed to do
    **dict.fromkeys(MOTIONS_OF, Action.ANIMATE),
    **dict.fromkeys((*EXTENDS, "loop"), Action.EXTEND),
    "vremix": Action.REMIX_FILM,
    "vblend": Action.BLEND,
    **dict.fromkeys(("cut", "lastframe"), Action.CUT),
    "gif": Action.SHOW,
}
REMIXABLE = (*MOTIONS_OF, *EXTENDS, "loop")  # what opens a window while remix is on
STRENGTHS = {"subtle": 0.35, "mild": 0.55, "strong": 0.75}  # of a remix, as Sora names them
_PICTURES = ("image", "end_image")
_WORDS = ("prompt", "prompt_parts", "negative_prompt", "raw")  # what a film keeps of its picture's request
_KEPT = (  # and of the film's that it is made from
    *_WORDS,
    "model",
    "loras",
    "draft",
    "num_inference_steps",
    "guidance_scale",
    "resolution",
    "fps",
    "sound",
)


def new(
    prompt: Prompt,
    pictures: Mapping[str, str] | None = None,
    *,
    seed: int | None = None,
    parent: tuple[str, int] | None = None,
    private: bool = False,
) -> NewJob:
    """Return the film of a parsed prompt: from its words, from its picture, or between that and a last one.

    Raises PromptError for a picture that isn't there, UserError for what doesn't go together.
    """
    given = {"seed": new_seed() if seed is None else seed} | film_fields_of(prompt, pictures)
    return NewJob(VideoRequest(**given), prompt.lane or Lane.FAST, parent, private)


def animate(
    source: Source, motion: str | None, words: PromptWithPictures | None = None, *, lane: Lane = Lane.FAST
) -> NewJob:
    """Return the film that begins with a picture: with its own words, or with new ones. motion: "low" or
    "high", unless the words say."""
    given = worded(words) if words else _kept(source, _WORDS)
    given |= {"image": source.sha256, "motion": given.get("motion") or motion}
    given = {"seed": source.next_seed, "num_images": usual_clips(None)} | given
    return _asked(VideoRequest(**given), source, words, lane)


def moving_text(job: Job) -> str:
    """Return the words of a picture's job to be changed before the picture is animated: without what only
    pictures have."""
    request = job.request
    if not isinstance(request, GenerateRequest):
        return ""
    words = Prompt(text=request.prompt, parts=request.prompt_parts, negative_prompt=request.negative_prompt)
    return format_prompt(words)


def extend(
    clip: FilmSource,
    operation: str = "extend",
    motion: str | None = None,
    words: PromptWithPictures | None = None,
    *,
    lane: Lane = Lane.FAST,
) -> NewJob:
    """Return ``clip`` longer: "extend" behind its end, "extend_back" before its start."""
    given = _of_clip(clip, words, operation)
    given["motion"] = given.get("motion") or motion
    return _asked(VideoRequest(**given, operation=operation), clip, words, lane)


def loop(clip: FilmSource, words: PromptWithPictures | None = None, *, lane: Lane = Lane.FAST) -> NewJob:
    """Return ``clip`` with a way back from its end to its start."""
    given = _of_clip(clip, words) | {"loop": False, "num_images": 1}
    return _asked(VideoRequest(**given, operation="loop"), clip, words, lane)


def remix(
    clip: FilmSource, words: PromptWithPictures, strength: float | None = None, *, lane: Lane = Lane.FAST
) -> NewJob:
    """Return ``clip`` drawn anew by other words. strength: 0 keeps it, 1 ignores it; None = as the words say,
    else mild."""
    given = _of_clip(clip, words)
    told = given.get("strength") if strength is None else strength
    given |= {"strength": STRENGTHS["mild"] if told is None else told, "loop": False}
    return _asked(VideoRequest(**given, operation="remix"), clip, words, lane)


def blend(
    clip: FilmSource, other: FilmSource, words: PromptWithPictures | None = None, *, lane: Lane = Lane.FAST
) -> NewJob:
    """Return both films as one, with a join that is drawn between them."""
    given = _of_clip(clip, words) | {"loop": False, "num_images": 1}
    given |= {"clip_2": other.sha256, "clip_2_ends": other.ends}
    made = _asked(VideoRequest(**given, operation="blend"), clip, words, lane)
    return replace(made, private=made.private or other.private, parent=made.parent or other.parent)


def cut(clip: FilmSource, start: float, end: float | None = None) -> NewJob:
    """Return the part of ``clip`` from second ``start`` to second ``end``, None = its end.

    Raises UserError for a part that isn't in it.
    """
    whole = clip.seconds
    end = whole if end is None else min(end, whole)
    if not 0 <= start < end:
        raise UserError(
            f"The film has {whole:.4g} s, and the part begins at {start:g} s and ends at {end:g} s."
        )
    given = _kept(clip, _KEPT) | {"clip": clip.sha256, "seed": clip.next_seed}
    return _asked(CutRequest(**given, start=start, end=end), clip, None, Lane.FAST)


def last_frame(clip: FilmSource) -> NewJob:
    """Return the last frame of ``clip`` as a picture."""
    given = _kept(clip, _WORDS) | {"clip": clip.sha256, "seed": clip.next_seed}
    return _asked(FrameRequest(**given), clip, None, Lane.FAST)


def _of_clip(clip: FilmSource, words: PromptWithPictures | None, operation: str = "remix") -> dict[str, Any]:
    """Return the fields of a film made from another: new words or what it keeps, and what it is made from."""
    given = _kept(clip, _KEPT)
    if words is not None:
        told = worded(words, operation)
        given |= {name: value for name, value in told.items() if value is not None or name not in given}
    given.setdefault("num_images", usual_clips(given.get("resolution"), operation))
    shaped = ("image", "end_image", "aspect_ratio", "width", "height")  # the film's own
    given = {name: value for name, value in given.items() if name not in shaped}
    return {"seed": clip.next_seed} | given | {"clip": clip.sha256, "clip_ends": clip.ends}


def worded(words: PromptWithPictures, operation: str = "new") -> dict[str, Any]:
    """Return the fields of new words; pictures stay where they name none."""
    given = film_fields_of(words.prompt, words.pictures, operation)
    return {name: value for name, value in given.items() if name not in _PICTURES or value is not None}


def _kept(source: Source | FilmSource, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what is kept of the request that drew a picture or film."""
    made_by = source.request
    if made_by is None:
        return {"prompt": ""}
    return {name: getattr(made_by, name) for name in names if hasattr(made_by, name)}


def _asked(
    request: VideoRequest | CutRequest | FrameRequest,
    source: Source | FilmSource,
    words: PromptWithPictures | None,
    lane: Lane,
) -> NewJob:
    prompt = words.prompt if words else Prompt()
    own = source.request is None or adds_words(request, source.request)
    return NewJob(request, prompt.lane or lane, source.parent, prompt.private or source.private, own)
