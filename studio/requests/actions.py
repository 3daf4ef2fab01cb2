"""What each button, each command on a picture and each operation of ``/video`` makes: the next request; and
which buttons make sense for which job and picture. Pure but for random seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.convert import (
    change_fields_of,
    fields_of,
    imagine_fields_of,
    numbered,
    references,
    video_fields_of,
    without_changes,
)
from core.errors import ImageError, UserError
from core.job import Job, Lane, Status, new_seed
from core.limits import GRID, MAX_SEED, MAX_SIDE, MAX_UPSCALED, SHEET
from core.prompt.parameters import Reach, field_names, parameters
from core.prompt.parser import Prompt, format_prompt
from core.prompt.values import is_blank
from core.requests import (
    AskRequest,
    BlendRequest,
    ClassifyRequest,
    ComposeRequest,
    CutOutRequest,
    DescribeRequest,
    EditRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    ReadRequest,
    RegionRequest,
    Request,
    UpscaleRequest,
    VariationRequest,
    WhyRequest,
)
from core.requests.base import Answer
from core.requests.custom_models import ProjectRequest
from core.requests.images import SAY_WHAT, Layer
from core.requests.video import ONE_CLIP, CutRequest, FrameRequest, VideoRequest, usual_clips
from jobs.queue import Result
from storage.job_queries import StoredPicture
from studio.authority import Action
from studio.inputs import VideoSource
from studio.new_job import (
    PAN_SHARE,
    PANS,
    NewJob,
    PromptWithPictures,
    Source,
    adds_words,
    aspect_sides,
    cell_box,
    direction_sides,
    source_of,
    zoom_sides,
)
from studio.texts import differs, typed_anew

MOTIONS_OF = {"anilow": "low", "anihigh": "high"}  # buttons under pictures
EXTENDS = {"extlow": ("extend", "low"), "exthigh": ("extend", "high"), "extback": ("extend_back", None)}
OF_VIDEOS = (*EXTENDS, "loop", "vremix", "vblend", "cut", "lastframe")  # buttons that make a job of a video
VIDEO_REMIXABLE = (*MOTIONS_OF, *EXTENDS, "loop")  # what opens a window while remix is on
STRENGTHS = {"subtle": 0.35, "mild": 0.55, "strong": 0.75}  # of a remix, as Sora names them
_PICTURES = ("image", "end_image")
_WORDS = ("prompt", "prompt_parts", "negative_prompt", "raw")  # what a video keeps of its picture's request
_KEPT = (  # and of the video's that it is made from
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


def new_video(prompt: Prompt, pictures: Mapping[str, str] | None = None, seed: int | None = None) -> NewJob:
    """Return the video of a parsed prompt: from its words, from its picture, or between that and a last one.

    Raises PromptError for a picture that isn't there, UserError for what doesn't go together.
    """
    given = {"seed": new_seed() if seed is None else seed} | video_fields_of(prompt, pictures)
    return NewJob(VideoRequest(**given), prompt.lane or Lane.FAST, private=bool(prompt.private))


def animate(source: Source, motion: str | None, words: PromptWithPictures | None = None) -> NewJob:
    """Return the video that begins with a picture: with its own words, or with new ones. motion: "low" or
    "high", unless the words say."""
    given = worded(words) if words else _kept(source, _WORDS)
    given |= {"image": source.sha256, "motion": given.get("motion") or motion}
    given = {"seed": source.next_seed, "num_images": usual_clips(None)} | given
    return _job(VideoRequest(**given), source, words)


def moving_text(job: Job) -> str:
    """Return the words of a picture's job to be changed before the picture is animated: without what only
    pictures have."""
    request = job.request
    if not isinstance(request, GenerateRequest):
        return ""
    words = Prompt(text=request.prompt, parts=request.prompt_parts, negative_prompt=request.negative_prompt)
    return format_prompt(words)


def extend_video(
    clip: VideoSource,
    operation: str = "extend",
    motion: str | None = None,
    words: PromptWithPictures | None = None,
) -> NewJob:
    """Return ``clip`` longer: "extend" behind its end, "extend_back" before its start."""
    given = _of_clip(clip, words, operation)
    given["motion"] = given.get("motion") or motion
    return _job(VideoRequest(**given, operation=operation), clip, words)


def loop_video(clip: VideoSource, words: PromptWithPictures | None = None) -> NewJob:
    """Return ``clip`` with a way back from its end to its start."""
    given = _of_clip(clip, words) | {"loop": False, "num_images": 1}
    return _job(VideoRequest(**given, operation="loop"), clip, words)


def remix_video(clip: VideoSource, words: PromptWithPictures) -> NewJob:
    """Return ``clip`` drawn again by other words, which may say how strongly; else mildly."""
    given = _of_clip(clip, words)
    told = given.get("strength")
    given |= {"strength": STRENGTHS["mild"] if told is None else told, "loop": False}
    return _job(VideoRequest(**given, operation="remix"), clip, words)


def blend_videos(clip: VideoSource, other: VideoSource, words: PromptWithPictures | None = None) -> NewJob:
    """Return both videos as one, with a join that is drawn between them."""
    given = _of_clip(clip, words) | {"loop": False, "num_images": 1}
    given |= {"clip_2": other.sha256, "clip_2_ends": other.ends}
    made = _job(VideoRequest(**given, operation="blend"), clip, words)
    return replace(made, private=made.private or other.private, parent=made.parent or other.parent)


def cut_video(clip: VideoSource, start: float, end: float | None = None) -> NewJob:
    """Return the part of ``clip`` from second ``start`` to second ``end``, None = its end.

    Raises UserError for a part that isn't in it.
    """
    whole = clip.seconds
    end = whole if end is None else min(end, whole)
    if not 0 <= start < end:
        raise UserError(
            f"The video has {whole:.4g} s, and the part begins at {start:g} s and ends at {end:g} s."
        )
    given = _kept(clip, _KEPT) | {"clip": clip.sha256, "seed": clip.next_seed}
    return _job(CutRequest(**given, start=start, end=end), clip, None)


def last_frame(clip: VideoSource) -> NewJob:
    """Return the last frame of ``clip`` as a picture."""
    given = _kept(clip, _WORDS) | {"clip": clip.sha256, "seed": clip.next_seed}
    return _job(FrameRequest(**given), clip, None)


def _of_clip(clip: VideoSource, words: PromptWithPictures | None, operation: str = "remix") -> dict[str, Any]:
    """Return the fields of a video made from another: new words or what it keeps, and what it is made
    from."""
    given = _kept(clip, _KEPT)
    if words is not None:
        told = worded(words, operation)
        given |= {name: value for name, value in told.items() if value is not None or name not in given}
    given.setdefault("num_images", usual_clips(given.get("resolution"), operation))
    shaped = ("image", "end_image", "aspect_ratio", "width", "height")  # the video's own
    given = {name: value for name, value in given.items() if name not in shaped}
    return {"seed": clip.next_seed} | given | {"clip": clip.sha256, "clip_ends": clip.ends}


def worded(words: PromptWithPictures, operation: str = "new") -> dict[str, Any]:
    """Return the fields of new words; pictures stay where they name none."""
    given = video_fields_of(words.prompt, words.pictures, operation)
    return {name: value for name, value in given.items() if name not in _PICTURES or value is not None}


def _kept(source: Source | VideoSource, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what is kept of the request that drew a picture or video."""
    made_by = source.request
    if made_by is None:
        return {"prompt": ""}
    return {name: getattr(made_by, name) for name in names if hasattr(made_by, name)}


UPLOAD_ZOOM = 1.5  # of the button Outpaint under a picture that somebody sent
ZOOMS = {"zoom15": 1.5, "zoom20": 2.0}
UPSCALES = {"up2s": (2, "subtle"), "up2c": (2, "creative"), "up4s": (4, "subtle"), "up4c": (4, "creative")}
RIGHTS = {  # button → what its presser must be allowed to do
    "upscale": Action.PICK,
    "vary": Action.VARY,
    "subtle": Action.VARY,
    "full": Action.VARY,
    "seed": Action.VARY,
    "strong": Action.VARY,
    "region": Action.VARY,
    "edit": Action.VARY,
    "again": Action.REROLL,
    "three": Action.REROLL,
    "next": Action.REROLL,
    "others": Action.REROLL,
    "hd": Action.REROLL,
    "remix": Action.REMIX,
    **dict.fromkeys(ZOOMS, Action.ZOOM),
    "zoom": Action.ZOOM,
    "square": Action.ZOOM,
    **dict.fromkeys(PANS, Action.PAN),
    **dict.fromkeys(UPSCALES, Action.UPSCALE),
    "cutout": Action.CUT_OUT,
    "describe": Action.DESCRIBE,
    "classify": Action.CLASSIFY,
    "read": Action.READ,
    "why": Action.CLASSIFY,
    "caption": Action.IMAGINE,
    "all": Action.IMAGINE,
    "short": Action.IMAGINE,
    "weights": Action.DETAILS,
    "question": Action.USE,
    **dict.fromkeys(("more", "teach", "thread"), Action.ASK_MORE),
    "draw": Action.IMAGINE,
    "details": Action.DETAILS,
    "dm": Action.DM,
    "favourite": Action.FAVOURITE,
    "cancel": Action.CANCEL,
    "stop": Action.CANCEL,
    "delete": Action.DELETE,
    **dict.fromkeys(("isright", "iswrong", "falsealarm", "snooze"), Action.RATE),
    **dict.fromkeys(("verdict", "project"), Action.DETAILS),
    **dict.fromkeys(MOTIONS_OF, Action.ANIMATE),
    **dict.fromkeys((*EXTENDS, "loop"), Action.EXTEND),
    "vremix": Action.REMIX_VIDEO,
    "vblend": Action.BLEND,
    **dict.fromkeys(("cut", "lastframe"), Action.CUT),
    "gif": Action.SHOW,
}
# What opens a window while remix is on
REMIXABLE = ("vary", "subtle", "strong", "again", *ZOOMS, "square", *PANS, *VIDEO_REMIXABLE)
OTHER_WORDS = 0.8  # temperature of an answer that is asked for once more
OF_A_PROJECT = "Do that in its project: `/inspect show` or `/style show`."
NEWER = "This button belongs to a newer version of the studio."
_IGNORED_BY_VARIATIONS = (Reach.FIRST,)  # what new words ask for in vain, which is told
_IGNORED_BY_OTHERS = (Reach.FIRST, Reach.GRID, Reach.SHAPE)


def after_button(
    result: Result,
    action: str,
    index: int,
    *,
    words: PromptWithPictures | None = None,
    strong: bool = True,
    children: int = 0,
) -> NewJob:
    """Return the job that button ``action`` under picture ``index`` (from 0) of ``result`` stands for.

    words: of a remix. strong: what V does. children: how many jobs were made from that picture before.
    Raises ImageError when there is no such picture, UserError when the button makes no sense there.
    """
    job, source = result.job, source_of(result, index, children=children)
    match action:
        case "describe":
            return _read(DescribeRequest(image=source.sha256, seed=source.next_seed), job, index)
        case "classify":
            return _read(ClassifyRequest(image=source.sha256), job, index)
        case "read":
            return _read(ReadRequest(image=source.sha256), job, index)
        case "vary" | "subtle" | "strong" | "remix":
            subtle = action == "subtle" or (action == "vary" and not strong)
            new = variation(source, "subtle" if subtle else "strong", words)
        case "full":
            new = in_full(source)
        case "seed":
            new = by_seed(source)
        case "cutout":
            new = cut_out(source)
        case "edit":
            new = edit_picture(source, words)
        case "square":
            new = outpaint(source, aspect_sides(source, (1, 1)), words)
        case _ if action in UPSCALES:
            new = upscale(source, *UPSCALES[action])
        case _ if action in ZOOMS:
            new = outpaint(source, zoom_sides(source, ZOOMS[action]), words)
        case _ if action in PANS:
            new = outpaint(source, direction_sides(source, action), words)
        case _ if action in MOTIONS_OF:
            new = animate(source, MOTIONS_OF[action], words)
        case _:
            raise UserError(NEWER)
    return new.in_lane_of(job, words)


def after_upload(source: Source, action: str, prompt: Prompt) -> NewJob:
    """Return the job that button ``action`` under a picture that somebody sent stands for. prompt: the words
    that came with it. Raises ImageError for a button that there isn't."""
    words, seed = PromptWithPictures(prompt, {}), source.next_seed if prompt.seed is None else prompt.seed
    match action:
        case "describe":
            return NewJob(DescribeRequest(image=source.sha256, seed=seed))
        case "classify":
            return NewJob(ClassifyRequest(image=source.sha256))
        case "read":
            return NewJob(ReadRequest(image=source.sha256))
        case "cutout":
            return cut_out(source)
        case "variation":
            return variation(source, "strong", words, seed=seed)
        case "outpaint":
            return outpaint(source, zoom_sides(source, UPLOAD_ZOOM), words, seed=seed)
        case _:
            raise ImageError(NEWER)


def explain_label(result: Result, place: int) -> NewJob:
    """Return the job that shows why the label at ``place`` (from 0) was said. Raises UserError for none."""
    job, request = result.job, result.job.request
    if not isinstance(request, ClassifyRequest) or place >= len(result.scores):
        raise UserError("Only a label that `/classify` gave can be explained.")
    label = result.scores[place][0]
    return _read(WhyRequest(image=request.image, label=label, labels=request.labels), job, 0)


def _read(request: Request, job: Job, index: int) -> NewJob:
    return NewJob(request, job.lane, (job.id, index), job.origin.private, own_words=False)


def repeat_job(job: Job, seed: int, words: PromptWithPictures | None = None) -> NewJob:
    """Return the job once more, with another seed, and with other words if given. Raises UserError for one
    about a project's model."""
    request: Any = job.request
    if isinstance(request, ProjectRequest):  # what it asks for may be another's to ask for by now
        raise UserError(OF_A_PROJECT)
    if isinstance(request, ImagineRequest):
        request = replace(request, seeds=())
    if words is not None and isinstance(request, ImagineRequest):
        request = replace(request, **_drawn_anew(request, words))
    elif words is not None and isinstance(request, GenerateRequest):
        request = replace(request, **_worded(request, words))
    if "seed" in parameters(type(request)):
        request = replace(request, seed=seed)
    if isinstance(request, AskRequest):  # the likeliest words would be the same ones
        request = replace(request, temperature=request.temperature or OTHER_WORDS)
    parent = (job.parent_id, job.parent_index or 0) if job.parent_id else None
    return NewJob(request, job.lane, parent, job.origin.private, adds_words(request, job.request))


def three_more(job: Job, seed: int) -> NewJob:
    """Return three other videos of a job that made one. Raises UserError for any other job."""
    new = repeat_job(job, seed)
    if not isinstance(new.request, VideoRequest) or not is_one_of_several(job):
        raise UserError(
            "“Three more” works only for a single video made from words, from a picture or as a remix."
        )
    return replace(new, request=replace(new.request, num_images=3))


def next_sheet(job: Job) -> NewJob:
    """Return the sheet that goes on where a job's ends, in seeds and in styles. Raises UserError for a job
    that is none."""
    request = job.request
    if not isinstance(request, ImagineRequest) or not request.is_sheet:
        raise UserError("Only a sheet of drafts has more of them.")
    seed = request.seed_of(SHEET)
    styles = tuple((code + SHEET) % (MAX_SEED + 1) for code in request.sheet_styles)
    return replace(repeat_job(job, seed), request=replace(request, seed=seed, sheet_styles=styles))


def left_out(request: Request, used: Mapping[str, Any]) -> int:
    """Return how many drawings a job has that a taste didn't choose, and that it hasn't shown since.
    used: parameters of its result, which say among how many was chosen."""
    if not isinstance(request, ImagineRequest) or request.is_sheet or request.think:
        return 0
    return max(len(request.seeds), used.get("candidates", 0)) - request.num_images


def others_of(result: Result) -> NewJob:
    """Return the job that draws what a taste didn't choose, up to four at once, by their seeds: the others
    that were drawn, in the place of those that are shown. Raises UserError for a job without any."""
    job, request = result.job, result.job.request
    if not isinstance(request, ImagineRequest) or left_out(request, result.parameters) < 1:
        raise UserError("No taste has chosen here, so there are no others.")
    shown = {picture.seed for picture in result.pictures}
    count = len(request.seeds) or result.parameters["candidates"]
    every = request.seeds or tuple(request.seed_of(number) for number in range(count))
    seeds = tuple(seed for seed in every if seed not in shown)
    number = min(GRID, len(seeds))
    plain = replace(request, seed=seeds[0], seeds=seeds, num_images=number, taste=(), candidates=0)
    return replace(repeat_job(job, seeds[0]), request=plain, own_words=False)


def is_one_of_several(job: Job) -> bool:
    """Return whether a job made one video where several would be a choice."""
    request = job.request
    return isinstance(request, VideoRequest) and request.operation not in ONE_CLIP and request.num_images == 1


def in_hd(job: Job) -> NewJob:
    """Return the job once more with a second pass over the same pictures: same words, same seed.

    Raises UserError for a job that isn't an /imagine.
    """
    if not isinstance(job.request, ImagineRequest) or job.request.is_sheet:
        raise UserError("Only pictures made by `/imagine` can be run as HD; use Upscale for this one.")
    return replace(repeat_job(job, job.request.seed), request=replace(job.request, hd=True))


def imagine_prompt(prompt: Prompt, pictures: Mapping[str, str] | None = None, *, seed: int) -> NewJob:
    """Return the /imagine of a parsed prompt, or its video, with ``seed`` unless the prompt names one.

    pictures: what the prompt calls a picture → SHA-256. Raises PromptError for a picture that isn't there.
    ``--edit`` makes it a change of pictures.
    """
    if prompt.video:
        return new_video(prompt, pictures, seed)
    if prompt.edit:
        given = {"seed": seed} | change_fields_of(prompt, pictures, code=new_seed())
        return NewJob(EditRequest(**given), prompt.lane or Lane.FAST, private=bool(prompt.private))
    given = {"seed": seed} | imagine_fields_of(prompt, pictures, code=new_seed())
    return NewJob(ImagineRequest(**given), prompt.lane or Lane.FAST, private=bool(prompt.private))


def blend_pictures(images: Sequence[str], aspect: tuple[int, int] | None, *, seed: int) -> NewJob:
    """Return a blend of the pictures ``images`` (SHA-256) in the shape ``aspect`` (w, h)."""
    return NewJob(BlendRequest(images=tuple(images), aspect_ratio=aspect, seed=seed))


def variation(
    source: Source, amount: str, words: PromptWithPictures | None, *, seed: int | None = None
) -> NewJob:
    """Return image-to-image of ``source`` to its own prompt and settings, or to new words.

    amount: "subtle" or "strong". seed: None = the source's next one, here and below.
    """
    given = _fields(source, words, seed, _IGNORED_BY_VARIATIONS)
    remix = source.request is not None and _remixed(source, words)  # what was sent had no words to change
    request = VariationRequest(**given, image=source.sha256, variation=amount, remix=remix)
    return _job(request, source, words)


def in_full(source: Source) -> NewJob:
    """Return a draft drawn in full: from its picture, so that what it shows stays where it is. Its seed alone
    would give another picture, since samplers that add noise draw by the number of steps too."""
    given = _fields(source, None, source.seed) | {"draft": False, "num_images": 1}
    return _job(VariationRequest(**given, image=source.sha256, variation="full"), source, None)


def by_seed(source: Source) -> NewJob:
    """Return the picture that the words and the seed of a draft give in full. Raises UserError for what no
    /imagine drew."""
    made_by = source.request
    if not isinstance(made_by, ImagineRequest) or source.seed is None:
        raise UserError("Only pictures made by `/imagine` can be drawn by their seed; use Vary for this one.")
    return _job(replace(made_by, seed=source.seed, draft=False, num_images=1), source, None)


def upscale(source: Source, factor: int, mode: str, words: PromptWithPictures | None = None) -> NewJob:
    """Return ``source`` enlarged ``factor`` times (2 or 4). mode: "subtle" or "creative".

    Raises UserError when it would be larger than fits.
    """
    side = max(source.width, source.height) * factor
    if side > MAX_UPSCALED:
        raise UserError(
            f"That would be {source.width * factor}×{source.height * factor} px; up to {MAX_UPSCALED} a side"
            f" fit. The picture has {source.width}×{source.height}"
            f" px{': try 2x.' if factor == 4 and side // 2 <= MAX_UPSCALED else '.'}"
        )
    given = _fields(source, words)
    return _job(UpscaleRequest(**given, image=source.sha256, factor=factor, mode=mode), source, words)


def edit_picture(source: Source, words: PromptWithPictures | None, others: Sequence[Source] = ()) -> NewJob:
    """Return ``source`` changed as ``words`` say, which may name ``others``: one picture, unless they want
    more. What comes of somebody's private picture is private. Raises UserError without words."""
    if words is None:
        raise UserError(SAY_WHAT)
    given = _fields(source, words) | {"model": words.prompt.model, "num_images": words.prompt.count or 1}
    given["unsupported"] = without_changes(words.prompt, given["unsupported"])
    about = source.request.prompt if source.request else ""
    new = _job(EditRequest(**given, image=source.sha256, about=about), source, words)
    return shown_beside(new, others)


def shown_beside(new: NewJob, others: Sequence[Source]) -> NewJob:
    """Return an edit with further pictures that its words may name. Raises UserError for another job, or too
    many."""
    if not isinstance(new.request, EditRequest):
        raise UserError("Only a change by words takes further pictures.")
    request = replace(new.request, images=tuple(one.sha256 for one in others))
    return replace(new, request=request).chosen(None, private=any(one.private for one in others))


def cut_out(source: Source, named: str = "") -> NewJob:
    """Return the object in ``source`` with nothing around it. named: words for it, "" = what stands out."""
    return _job(CutOutRequest(**_fields(source, None), image=source.sha256, named=named), source, None)


def redraw_region(
    source: Source,
    words: PromptWithPictures | None,
    *,
    mask: str | None = None,
    cells: Sequence[int] = (),
    what: str = "",
) -> NewJob:
    """Return a part of ``source`` redrawn: under ``mask`` (SHA-256), in ``cells`` of the numbered grid (from
    1), or wherever the picture shows ``what``.

    Raises UserError for a field that isn't there.
    """
    given = _fields(source, words)
    request = RegionRequest(
        **given,
        image=source.sha256,
        mask_image=mask,
        boxes=tuple(cell_box(source, cell) for cell in cells),
        region=what.strip(),
        remix=_remixed(source, words),
    )
    return _job(request, source, words)


def outpaint(
    source: Source, sides: dict[str, int], words: PromptWithPictures | None, *, seed: int | None = None
) -> NewJob:
    """Return a larger canvas around ``source``. ``sides``: px to add at left, top, right, bottom.

    Raises UserError when it would be larger than fits.
    """
    width = source.width + sides.get("left", 0) + sides.get("right", 0)
    height = source.height + sides.get("top", 0) + sides.get("bottom", 0)
    if max(width, height) > MAX_SIDE:
        raise UserError(
            f"That would be {width}×{height} px; up to {MAX_SIDE} a side fit. The picture has"
            f" {source.width}×{source.height} px: try a smaller zoom, or another direction."
        )
    across, down = (round(length, 2) for length in (width / source.width, height / source.height))
    given = _fields(source, words, seed) | sides | {"zoom": across if across == down else 0.0}
    own_words = source.request is None and not is_blank(given["prompt"])
    request = OutpaintRequest(**given, image=source.sha256, remix=own_words or _remixed(source, words))
    return _job(request, source, words)


def compose(
    source: Source,
    words: PromptWithPictures | None,
    *,
    canvas: tuple[int, int],
    layers: Sequence[Layer],
    mask: str | None = None,
    keep_seam: bool = False,
) -> NewJob:
    """Return pictures on a ``canvas`` (w, h), drawn where ``mask`` (SHA-256) is white or no layer lies.

    source: whose words and settings it has, and whose child it is.
    """
    given = _fields(source, words) | {"canvas": canvas, "layers": tuple(layers)}
    remix = _remixed(source, words)
    request = ComposeRequest(**given, mask_image=mask, keep_seam=keep_seam, remix=remix)
    return _job(request, source, words)


def _job(request: Request, source: Source | VideoSource, words: PromptWithPictures | None) -> NewJob:
    prompt = words.prompt if words else Prompt()
    own = source.request is None or adds_words(request, source.request)
    return NewJob(request, prompt.lane or Lane.FAST, source.parent, prompt.private or source.private, own)


def _fields(
    source: Source,
    words: PromptWithPictures | None,
    seed: int | None = None,
    ignored: Sequence[Reach] = _IGNORED_BY_OTHERS,
) -> dict[str, Any]:
    """Return the fields of a request made from ``source``: those of the new words, else what it keeps of its
    parent's request. Flags of new words whose reach is ``ignored`` are kept as unsupported."""
    made_by, seed = source.request, source.next_seed if seed is None else seed
    if words is None:
        kept = _reaching(Reach.KEPT) if made_by else ()
        return {"prompt": "", "seed": seed} | {name: getattr(made_by, name) for name in kept}
    given = {"seed": seed} | (
        _worded(made_by, words) if made_by else fields_of(words.prompt, words.pictures, code=new_seed())
    )
    given["unsupported"] = (*given["unsupported"], *typed_anew(made_by, words.prompt, ignored))
    return _without(given, "image", *_reaching(*ignored))


def _reaching(*reaches: Reach) -> tuple[str, ...]:
    return field_names(GenerateRequest, lambda parameter: parameter.reach in reaches)


def _worded(request: GenerateRequest, words: PromptWithPictures) -> dict[str, Any]:
    """Return the fields of new words; the model stays if they name none."""
    if isinstance(request, VideoRequest):
        return worded(words, request.operation)
    given = fields_of(words.prompt, _known(request, words), code=new_seed())
    return _without(given, *(("image",) if given["image"] is None else ()))


def _drawn_anew(request: ImagineRequest, words: PromptWithPictures) -> dict[str, Any]:
    """Return the fields of new words of an /imagine, which may be a sheet; the model stays if they name
    none."""
    given = imagine_fields_of(words.prompt, _known(request, words), code=new_seed())
    is_grid = not (words.prompt.sheet or request.is_sheet)
    kept = (*(("image",) if given["image"] is None else ()), *(("num_images",) if is_grid else ()))
    return _without(given, *kept)


def _known(request: GenerateRequest, words: PromptWithPictures) -> dict[str, str]:
    """Return the pictures that new words may name: those of the request, and their own."""
    return {**numbered(references(request)), **words.pictures}


def _remixed(source: Source, words: PromptWithPictures | None) -> bool:
    return words is not None and (source.request is None or differs(words.prompt, source.request))


def _without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def for_picture(job: Job, picture: StoredPicture) -> tuple[tuple[str, ...], ...]:
    """Return the actions for a picture of a job at its size, in groups and in Midjourney's order.

    The groups are: enlarge, vary, frame, move and keep, look and end.
    """
    side = max(picture.width, picture.height)
    upscales = [name for name, (factor, _) in UPSCALES.items() if side * factor <= MAX_UPSCALED]
    zooms = [name for name in ("zoom20", "zoom15") if side * ZOOMS[name] <= MAX_SIDE]
    grows = side <= MAX_SIDE  # else no canvas around it fits
    lengths = {name: picture.width if name in ("left", "right") else picture.height for name in PANS}
    pans = [name for name in PANS if grows and lengths[name] * (1 + PAN_SHARE) <= MAX_SIDE]
    custom = ("zoom",) if grows and min(picture.width, picture.height) < MAX_SIDE else ()
    square = ("square",) if picture.width != picture.height and grows else ()
    made_by = job.request if isinstance(job.request, ImagineRequest) else None
    hd = ("hd",) if made_by and not (made_by.hd or made_by.is_sheet) else ()
    drafts = ("full", "seed") if made_by and made_by.draft else ()
    repeat_job = () if isinstance(job.request, FrameRequest) else ("again",)  # it would be the same frame
    return (
        (*upscales, *hd),
        (*drafts, "subtle", "strong", "region", "remix", *repeat_job),
        (*zooms, *custom, *square, "cutout"),
        (*pans, "favourite"),
        ("describe", "classify", "read", "details", "dm", "delete"),
    )


EDITS = ("edit",)  # for a picture, where a model changes pictures as words say
ANIMATES = ("anihigh", "anilow")  # for a picture, where videos can be made


def for_video(job: Job) -> tuple[tuple[str, ...], ...]:
    """Return the actions for a video of a job, in groups: go on, change, take from, keep and look."""
    repeat_job = () if isinstance(job.request, CutRequest) else ("again",)
    others = ("three",) if is_one_of_several(job) else ()
    return (
        ("exthigh", "extlow", "extback", "loop"),
        ("vremix", "vblend", *repeat_job, *others),
        ("cut", "lastframe", "gif"),
        ("favourite", "details", "dm", "delete"),
    )


def for_job(job: Job, used: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the actions for a job as a whole: to stop it, or to ask for it once more. used: parameters
    of its result."""
    if not job.status.over:
        return ("cancel",)
    answer = job.request.answer
    words = ("remix",) if answer is Answer.PICTURES else ()
    texts = ("all",) if answer is Answer.CAPTIONS else ("why",) if answer is Answer.LABELS else ()
    same = (Answer.WEIGHTS, Answer.LINES, Answer.MAP)  # would say the same again
    cut_video = isinstance(job.request, (CutRequest, FrameRequest))  # as would these
    repeat_job = () if answer in same or cut_video else ("again",)
    is_made = job.status in (Status.RENDERED, Status.DELIVERED)
    others = ("three",) if is_made and is_one_of_several(job) else ()
    if isinstance(job.request, ImagineRequest) and job.request.is_sheet:
        others, words = ("next",), ()
    elif is_made and left_out(job.request, used) > 0:
        others = ("others",)
    return (*repeat_job, *others, *words, *texts, "delete")
