"""Jobs and pictures as pages and the live socket read them: plain values for JSON and templates."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from core.convert import prompt_of
from core.events import Cancelled, Event, Failed, Loading, Paused, Progress, Queued, Rendered, Started
from core.job import Job, Status
from core.language import N_, _, n_, own_language, retold
from core.requests import AskRequest, GenerateRequest, ImagineRequest
from core.requests.base import Answer, Request
from core.requests.custom_models import BundleRequest, InspectRequest, ProjectRequest, TrainRequest
from core.requests.images import (
    ComposeRequest,
    CutOutRequest,
    EditRequest,
    OutpaintRequest,
    RegionRequest,
    UpscaleRequest,
)
from core.results import text_of_lines
from jobs.queue import JobView, Result
from storage.gallery import Tile
from storage.job_queries import StoredPicture
from storage.videos import StoredVideo
from studio.library.gallery import Looked
from studio.moderation.rules import Visibility
from studio.requests import actions
from studio.requests.actions import RIGHTS
from studio.requests.completion import Mark
from studio.requests.prompts import remix_text
from studio.texts import job_name, reader_text, without_effect

LONGEST_ALT = 200  # characters
DRAFT = "draft:"  # begins the key of a request that was asked for with others by one prompt
EDITS = (RegionRequest, EditRequest, CutOutRequest, ComposeRequest, OutpaintRequest, UpscaleRequest)
NARROWED = {  # what Create can be narrowed to
    "pictures": N_("Pictures"),
    "edits": N_("Edits"),
    "videos": N_("Videos"),
    "answers": N_("Answers"),
    "models": N_("Custom models"),
}


@dataclass(frozen=True)
class Label:
    """How an action is called. words: it takes new words. form: what else it asks for, "blend" (another
    video) or "cut" (from when to when). first: its word where only what is asked for most stands."""

    text: str
    words: bool = False
    form: str = ""
    first: str = ""


GROUPS = (N_("Upscale"), N_("Vary"), N_("Frame"), N_("Pan"), N_("Read"))
VIDEO_GROUPS = (N_("Continue"), N_("Change"), N_("Extract"), N_("Keep"))
LABELS = {  # actions of ``studio.requests.actions.RIGHTS`` that a page offers as buttons
    "up2s": Label("2× subtle", first=N_("Upscale")),
    "up2c": Label("2× creative"),
    "up4s": Label("4× subtle"),
    "up4c": Label("4× creative"),
    "hd": Label(N_("Run as HD")),
    "full": Label(N_("Draw in full"), first=N_("In full")),
    "seed": Label(N_("Draw by seed")),
    "subtle": Label(N_("Subtle")),
    "strong": Label(N_("Strong"), first=N_("Vary")),
    "remix": Label(N_("Remix"), words=True),
    "edit": Label(N_("Edit by words"), words=True, first=N_("Edit")),
    "again": Label(N_("Try again")),
    "three": Label(N_("Three more")),
    "next": Label(N_("24 more")),
    "others": Label(N_("The others")),
    "zoom20": Label(N_("Zoom out 2×")),
    "zoom15": Label(N_("Zoom out 1.5×")),
    "square": Label(N_("Make square")),
    "left": Label(N_("Left")),
    "right": Label(N_("Right")),
    "up": Label("Up"),
    "down": Label(N_("Down")),
    "cutout": Label(N_("Cut out")),
    "describe": Label(N_("Describe")),
    "classify": Label(N_("Classify")),
    "read": Label(N_("Read text")),
    "why": Label("Why?"),
    "anihigh": Label(N_("High motion"), first=N_("Animate")),
    "anilow": Label(N_("Low motion")),
    "exthigh": Label(N_("Extend, high motion"), first=N_("Extend")),
    "extlow": Label(N_("Extend, low motion")),
    "extback": Label(N_("Extend back")),
    "loop": Label(N_("Loop"), first=N_("Loop")),
    "vremix": Label(N_("Remix"), words=True, first=N_("Remix")),
    "vblend": Label(N_("Blend"), form="blend"),
    "cut": Label(N_("Cut"), form="cut", first=N_("Cut")),
    "lastframe": Label(N_("Last frame")),
}
OF_A_JOB = {"cancel": Label(N_("Cancel")), "delete": Label(N_("Delete"))}  # by routes of their own
EVERY = frozenset(RIGHTS)  # action, for one's own jobs


def actions_of(
    job: Job,
    picture: StoredPicture,
    may: Collection[str] = EVERY,
    *,
    videos: bool = False,
    edits: bool = False,
) -> list[Mapping[str, Any]]:
    """Return what can be made from a picture or video, as buttons in groups. may: the actions that are
    allowed. videos: whether they are made here. edits: whether pictures are changed as words say."""
    groups = [*zip(GROUPS, actions.for_picture(job, picture), strict=True)]
    if job.request.answer is Answer.VIDEOS:
        groups = [*zip(VIDEO_GROUPS, actions.for_video(job), strict=True)]
    else:
        groups[2:2] = [(N_("Vary"), actions.EDITS)] if edits else []
        groups[1:1] = [(N_("Animate"), actions.ANIMATES)] if videos else []
    offered = [(action, group) for group, names in groups for action in names if action in LABELS]
    language = own_language()
    return [_action(action, group, language) for action, group in offered if action in may]


def actions_of_job(
    job: Job, parameters: Mapping[str, Any], may: Collection[str] = EVERY
) -> list[Mapping[str, Any]]:
    """Return what can be done with a job as a whole, as buttons. parameters: of its result. may: the actions
    that are allowed."""
    offered = [action for action in actions.for_job(job, parameters) if action in LABELS | OF_A_JOB]
    language = own_language()
    return [_action(action, N_("Job"), language) for action in offered if action in may]


@cache
def _action(action: str, group: str, language: str) -> Mapping[str, Any]:
    """Return a button in the language that holds: a page has hundreds of the same."""
    label = (LABELS | OF_A_JOB)[action]
    shape = {"action": action, "label": _(label.text), "group": _(group)}
    return {**shape, "words": label.words, "form": label.form, "first": label.first}


def alt_text(job: Job, number: int | None = None, seed: int | None = None) -> str:
    """Return what a picture shows, for people who can't see it: its prompt, cut at a word. seed: the
    picture's."""
    made_by = job.request.of_seed(seed) if isinstance(job.request, GenerateRequest) else None
    words = made_by.prompt if made_by else ""
    if not words and made_by:
        words = prompt_of(made_by).text
    if len(words) > LONGEST_ALT:
        words = words[:LONGEST_ALT].rpartition(" ")[0] + " …"
    named = words or job_name(job.request)
    if number is None:
        return named
    if job.request.answer is Answer.VIDEOS:
        return _("{named} (video {number})", named=named, number=number)
    return _("{named} (picture {number})", named=named, number=number)


def describe_video(job_id: str, stored: StoredVideo) -> dict[str, Any]:
    """Return what a player needs of a video, and what is told of it."""
    return {
        "src": f"/files/{job_id}/{stored.index + 1}.mp4",
        "gif": f"/files/{job_id}/{stored.index + 1}.gif",
        "seconds": round(stored.seconds, 2),
        "fps": stored.fps,
        "sound": stored.sound,
    }


def describe_picture(
    job: Job,
    stored: StoredPicture,
    visibility: Visibility,
    kept: Collection[int] = (),
    clip: StoredVideo | None = None,
) -> dict[str, Any]:
    """Return a picture of a job. kept: which of the job's pictures (from 0) are the reader's favourites.
    clip: the video whose poster it is."""
    number = stored.index + 1
    files = f"/files/{job.id}/{number}"
    return {
        "n": number,
        "width": stored.width,
        "height": stored.height,
        "seed": stored.seed,
        "favourite": stored.index in kept,
        "visibility": visibility.value,
        "href": f"/pictures/{job.id}/{number}",
        "original": files,
        "thumb": f"{files}/512.webp",
        "small": f"{files}/256.webp",
        "alt": alt_text(job, number or None, stored.seed),
        "prompt": remix_text(job, stored.seed),
        "video": None if clip is None else describe_video(job.id, clip),
    }


def describe_job(
    seen: Looked,
    reader: int,
    view: JobView | None = None,
    *,
    held: bool = False,
    may: Collection[str] = EVERY,
    videos: bool = False,
    edits: bool = False,
) -> dict[str, Any]:
    """Return a job as ``reader`` (a user id) sees it. view: while it is live. held: the queue is paused. may:
    the actions of ``studio.requests.actions.RIGHTS`` that the reader is allowed. videos, edits: whether they
    are made here."""
    row, result = seen.job, seen.result
    drawing = row.request if isinstance(row.request, GenerateRequest) else None
    progress = view.progress if view else None
    own = isinstance(row.request, ProjectRequest)  # its charts belong to the page of its project
    shown = list(result.pictures) if result and not own else []
    visible = {one.index: how for one, how in zip(shown, seen.visible, strict=False)}
    chart = result.grid if result and not shown else None
    clips = {clip.index: clip for clip in result.videos} if result else {}
    follows = isinstance(row.request, AskRequest) and row.request.follows  # an answer, which is no picture
    drawn = row.parent_id is not None and not follows
    parent = {"job": row.parent_id, "n": (row.parent_index or 0) + 1} if drawn else None
    ended = row.rendered_at or row.finished_at
    return {
        "id": row.id,
        "kind": row.request.kind,
        "group": group_of(type(row.request)),
        "about": _about(row.request),
        "set": _set(row) if row.origin.user_id == reader else None,
        "follows": row.parent_id if follows else None,
        "topic": None,
        "finished": ended.isoformat() if ended else None,
        "name": job_name(row.request),
        "prompt": remix_text(row),
        "struck": without_effect(row.request),
        "status": row.status.value,
        "over": row.status.over,
        "created": row.created_at.isoformat(),
        "private": row.origin.private,
        "mine": row.origin.user_id == reader,
        "surface": row.origin.surface.value,
        "parent": parent,
        "error": row.error and retold(row.error),
        "position": view.position if view else None,
        "eta": view.eta if view else None,
        "held": held and view is not None and view.position > 0,
        "step": progress.step if progress else None,
        "total": progress.total if progress else None,
        "doing": progress.doing if progress else "",
        "preview": _preview(row.id, progress),
        "box": _box(progress) or (result.parameters.get("box") if result else None),
        **_awaited(view),
        "sheet": isinstance(drawing, ImagineRequest) and drawing.is_sheet,
        "count": drawing.num_images
        if drawing
        else 0,  # to come, with their sides where the request names them
        "width": drawing.width if drawing else None,
        "height": drawing.height if drawing else None,
        "pictures": [
            describe_picture(row, one, visible[one.index], seen.kept, clips.get(one.index))
            for one in (result.in_order if result and shown else ())
        ],
        "grid": describe_picture(row, chart, seen.visible[0]) if chart else None,
        "captions": list(result.captions) if result else [],
        **_talk(row, result, progress),
        "project": f"/projects/{row.request.project}" if isinstance(row.request, ProjectRequest) else None,
        "text": text_of_lines(result.lines) if result else "",
        "scores": [list(score) for score in result.scores] if result else [],
        "notes": notes_of(result.parameters) if result else [],
        "actions": actions_of_job(
            row, result.parameters if result else {}, {*may} - {"again"} if own else may
        ),
        "picture_actions": actions_of(row, shown[0], may, videos=videos, edits=edits)
        if shown
        else [],  # a job's pictures are of one size
    }


def group_of(asked: type[Request]) -> str:
    """Return which of ``NARROWED`` a request belongs to."""
    if asked.answer is Answer.VIDEOS:
        return "videos"
    if asked.answer is Answer.PICTURES:
        return "edits" if issubclass(asked, EDITS) else "pictures"
    return "models" if issubclass(asked, ProjectRequest) else "answers"


def _about(request: Request) -> str:
    """Return what a request without words is about."""
    match request:
        case TrainRequest(count=count) if count:
            return n_("from {n} picture", "from {n} pictures", count)
        case InspectRequest(images=images, version=version):
            return n_(
                "{n} picture, by version {version}",
                "{n} pictures, by version {version}",
                len(images),
                version=version,
            )
        case BundleRequest(name=name, version=version):
            return _("{name}, version {version}", name=name, version=version).removeprefix(", ")
    return ""


def _set(row: Job) -> str | None:
    """Return what all jobs of one prompt have in common, None for a job of its own."""
    key = row.origin.request_key or row.origin.press_key or ""  # of the web, of a press in Discord
    return key.removeprefix(DRAFT).partition(":")[0] if key.startswith(DRAFT) else None


def _awaited(view: JobView | None) -> dict[str, Any]:
    """Return which model is fetched or loaded for a job, and what else it waits for."""
    found: dict[str, Any] = {"loading": None}
    if view is not None and view.loading is not None:
        model, fraction, fetching, left = astuple(view.loading)
        found |= {"loading": model, "fraction": fraction, "fetching": fetching, "left": left}
    found |= {"starting": view is not None and view.starting}
    return found | ({"why": view.why} if view is not None and view.why else {})


def describe_mark(mark: Mark, text: str) -> dict[str, Any]:
    """Return a mark of a prompt; its places count as a browser counts characters, in UTF-16."""
    begin, end = (len(text[:place].encode("utf-16-le")) // 2 for place in (mark.begin, mark.end))
    return {**asdict(mark), "begin": begin, "end": end}


def describe_outcome(job: Job, result: Result | None) -> dict[str, Any]:
    """Return how far a job is that tries a model, and what is said of it."""
    return {
        "id": job.id,
        "created": job.created_at.isoformat(),
        "over": job.status.over,
        "cancelled": job.status is Status.CANCELLED,
        "error": job.error and retold(job.error),
        "notes": list(map(retold, result.parameters.get("notes", ()))) if result else [],
    }


def notes_of(parameters: Mapping[str, Any]) -> list[str]:
    """Return a result's notes, after who read a picture where there was a choice."""
    reader = reader_text(parameters)
    return [*([f"{reader}."] if reader else []), *map(retold, parameters.get("notes", ()))]


def _talk(row: Job, result: Result | None, progress: Progress | None) -> dict[str, Any]:
    """Return a question, its answer as far as it is there, and the page of its conversation."""
    if not isinstance(row.request, AskRequest):
        return {"question": None, "answer": None, "talk": None}
    text = result.answer.text if result and result.answer else progress.text if progress else ""
    return {"question": row.request.question, "answer": text, "talk": f"/talk/{row.id}"}


def _preview(job_id: str, progress: Progress | None) -> str | None:
    return f"/previews/{job_id}/{progress.step}" if progress and progress.preview else None


def _box(progress: Progress | None) -> list[int] | None:
    """Return what of the finished pictures a preview shows, None for all of them."""
    return list(progress.box) if progress and progress.box else None


def describe_tile(
    found: Tile,
    visibility: Visibility,
    prompt: str,
    reader: int,
    kept: timedelta,
    clip: StoredVideo | None = None,
) -> dict[str, Any]:
    """Return a picture of a gallery as ``reader`` (a user id) sees it, with its job's prompt as it is typed.
    kept: for how long it is kept if it is in the trash. clip: the video whose poster it is."""
    shape = describe_picture(found.job, found.picture, visibility)
    return {
        "job": found.job.id,
        "seq": found.cursor.seq,
        "kind": found.job.request.kind,
        "prompt": prompt,
        "created": found.job.created_at.isoformat(),
        "mine": found.job.origin.user_id == reader,
        **{name: shape[name] for name in ("n", "width", "height", "visibility", "href", "small", "thumb")},
        "alt": shape["alt"],
        "favourite": found.favourite,
        "seconds": None if clip is None else round(clip.seconds, 2),
        "ends": (found.trashed_at + kept).isoformat() if found.trashed_at else None,
    }


def describe_event(job_id: str, happened: Event) -> dict[str, Any]:
    """Return what happened to a job, for the live socket."""
    found: dict[str, Any] = {"id": job_id}
    match happened:
        case Queued(position, eta, held, why, starting):
            found |= {"state": "queued", "position": position, "eta": eta, "held": held}
            found |= {"starting": True} if starting else {}
            return found | ({"why": why} if why else {})
        case Loading(model, fraction, fetching, left):
            found |= {"state": "loading", "model": model, "fraction": fraction}
            return found | ({"fetching": True, "left": left} if fetching else {})
        case Progress(step, total):
            address = _preview(job_id, happened)
            shape = {"step": step, "total": total, "preview": address, "box": _box(happened)}
            shape |= {"doing": happened.doing}
            text = {"text": happened.text} if happened.text else {}
            return found | {"state": "progress"} | shape | text
        case Failed(message):
            return found | {"state": "failed", "error": retold(message)}
        case Started() | Rendered() | Cancelled() | Paused():
            return found | {"state": type(happened).__name__.lower()}
