"""What a request asks of one image model, prepared (``Task``), and the Output that comes of what is drawn;
shared by the capabilities that draw. An enlarged picture is drawn again in tiles (``refine``), at a strength
that keeps it, so that it gets sharp detail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from core.errors import UserError
from core.events import Output, Picture
from core.limits import GRID, MAX_UPSCALED, STYLIZE_CAP
from core.prompt.parameters import field_names
from core.requests import GenerateRequest, ImagineRequest
from vision.diffusion import adapters, parameters, prompt_embeddings
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel, least_steps
from vision.diffusion.parameters import Drawn, Generation
from vision.families import Mode
from vision.images import encode, ops
from vision.reporter import Reporter, Stage
from vision.store import Models
from vision.weights import card
from vision.weights.card import Card


@dataclass(frozen=True)
class Task:
    """A prepared request. parameters: to report with the result. notes: sentences about what had no effect.
    is_hd: it is drawn once more at twice the side. each: what differs between pictures."""

    generation: Generation
    parameters: dict[str, Any]
    notes: tuple[str, ...] = ()
    is_hd: bool = False
    each: tuple[dict[str, Any], ...] = ()


def choose_size(
    request: GenerateRequest, card: Card, default: tuple[int, int] = (1, 1)
) -> tuple[tuple[int, int], tuple[int, int] | None, list[str]]:
    """Return (w, h) at the model's scale, the shape that the finished picture is cut to, and notes. A size in
    the request is in px of the finished picture, and one side alone means a square. Without a size the shape
    is the request's ``aspect_ratio``, else ``default``; the model's sides come only near to it. Raises
    UserError when it is over what the model can draw."""
    scale, step = card.output_scale, card.multiple
    if request.width is None and request.height is None:
        shape = request.aspect_ratio or default
        step = max(step, card.native_size // 16 // step * step)
        return encode.size_for_area(shape[0] / shape[1], card.native_size, step), shape, []
    width, height = request.width or request.height or 0, request.height or request.width or 0
    size = encode.round_to(width / scale, step), encode.round_to(height / scale, step)
    limit = card.max_area * card.native_size**2
    if size[0] * size[1] > limit:
        side = round(limit**0.5) * scale
        raise UserError(
            f"`size` is {width}x{height}; this model draws up to {side}x{side} px ({side**2 / 1e6:.1f}"
            " megapixels in all)."
        )
    got = size[0] * scale, size[1] * scale
    note = f"The size became {got[0]}x{got[1]}: this model's sides are multiples of {step * scale} px."
    return size, None, [] if got == (width, height) else [note]


def loras(request: GenerateRequest, card: Card) -> tuple[tuple[str, float], ...]:
    """Return the request's LoRAs, the draft's and, unless ``--raw``, those of its tastes and the house
    style's, scaled by ``--stylize``. The weights of a name given twice are added."""
    weights: dict[str, float] = {}
    for name, weight in (*request.loras, *(() if request.raw else request.taste_loras)):
        weights[name] = weights.get(name, 0.0) + weight
    if request.draft and card.draft.lora:
        weights.setdefault(card.draft.lora, card.draft.weight)
    stylize = 100 if request.stylize is None else min(request.stylize, STYLIZE_CAP)
    share = 0 if request.raw else stylize / 100
    if card.style.lora and share:
        weights.setdefault(card.style.lora, min(2.0, card.style.weight * share))
    return tuple(sorted(weights.items()))


def prepare(
    request: GenerateRequest, model: ImageModel, mode: Mode, size: tuple[int, int], **given: Any
) -> Task:
    """Fill in what the request leaves open from the model's card. given: fields of the generation (strength,
    image, mask_image, references, shape)."""
    card = model.card
    steps = parameters.steps(request, card)
    guidance, rescale, guidance_notes = parameters.guidance(request, card, model.family.neutral)
    sampler, sampler_notes = request.sampler or (card.draft.sampler if request.draft else None), []
    if sampler and not model.takes_sampler(sampler):
        sampler_notes = [f"{model.name} has a sampler of its own; `{sampler}` wasn't used."]
        sampler = None
    step_notes = []
    if steps < (least := least_steps(model.scheduler(sampler))):
        steps, step_notes = least, [f"{model.name} takes {least} steps at least, so it took {least}."]
    if (strength := given.get("strength")) is not None and not model.starts_by_noise(mode):
        given["strength"] = min(1.0, max(strength, 1.0001 / steps))  # which leaves at least one of the steps
    is_shown = mode is Mode.EDIT or bool(given.get("references"))
    weights = model.supports_weights and not (model.family.words_alone and is_shown)
    seeds = tuple(request.seed_of(number) for number in range(request.num_images))
    ones = [request.of_seed(seed) for seed in seeds]
    read = {one: _text(one, model, mode, weights=weights, guidance=guidance) for one in ones}
    text, alike = read[ones[0]], len(read) == 1
    texts = () if alike else tuple((read[one].prompt, read[one].spec) for one in ones)
    text_notes = [note for note in text.notes if all(note in other.notes for other in read.values())]
    # a picture must not depend on how long the words of its neighbours are
    apart = texts and (
        model.family.encode is None or any(model.prompt_limit(words) is not None for words, _ in texts)
    )
    generation = Generation(
        mode,
        text.prompt,
        seeds,
        *size,
        steps,
        guidance,
        text.negative_prompt,
        sampler=sampler,
        text_spec=text.spec,
        texts=texts,
        at_once=(1 if apart else GRID) if len(seeds) > GRID else None,
        guidance_rescale=rescale if model.family.rescales else 0.0,
        stop=(request.stop or 100) / 100,
        seamless=request.tile and mode not in (Mode.INPAINT, Mode.EDIT) and model.family.unpack is not None,
        loras=loras(request, card),
        draft=request.draft,
        **given,
    )
    unknown = _ignored_notes(request, model, text)  # first: what explains the picture
    notes = *unknown, *step_notes, *guidance_notes, *sampler_notes, *text_notes
    each = () if alike else tuple({"prompt": one.prompt, "style_codes": one.style_codes} for one in ones)
    return Task(generation, _reported(request, model, generation), notes, each=each)


def _text(
    request: GenerateRequest, model: ImageModel, mode: Mode, *, weights: bool, guidance: float
) -> parameters.ModelText:
    """Return the text of pictures that have the same. weights: whether its parts can have some."""
    card = model.card
    can = {"supports_weights": weights, "supports_chaos": weights and model.supports_chaos}
    text = parameters.model_text(
        request, card, model.name, **can, guided=card.guided(guidance, model.family.neutral)
    )
    # for plain first pictures alone: what is made from a picture keeps its place, a pattern has none,
    # and weights are about the words as they are
    plain = request.kind == ImagineRequest.kind and mode is Mode.TEXT and not request.image_prompts
    is_varied = plain and weights and not (request.raw or request.tile or text.spec.wanted)
    varied = parameters.varied(text.prompt, card.variety.at(request.chaos)) if is_varied else ()
    if any(model.prompt_limit(words) is not None for words in varied):
        varied = ()  # a picture must not depend on how long the words of its neighbours are
    return replace(text, spec=replace(text.spec, varied=varied))


def prepare_inpainting(
    request: GenerateRequest,
    model: ImageModel,
    size: tuple[int, int],
    start: Image.Image,
    mask: Image.Image,
    strength: float,
    otherwise: str = "image-to-image was used",
    notes: tuple[str, ...] = (),
) -> Task:
    """Return the task that paints into ``mask`` of ``start``; of a model that can't, the one that draws all
    of it again. strength: where the request has none. otherwise: said then. notes: before its own."""
    given = {"image": start, "strength": strength if request.strength is None else request.strength}
    if model.has(Mode.INPAINT):
        task = prepare(request, model, Mode.INPAINT, size, mask_image=mask, **given)
    else:
        task = prepare(request, model, Mode.IMAGE, size, **given)
        notes = (f"{model.name} can't paint into a mask; {otherwise}.", *notes)
    return replace(task, notes=(*notes, *task.notes))


def with_references(
    task: Task,
    request: GenerateRequest,
    images: encode.Pictures,
    model: ImageModel,
    models: Models,
    reporter: Reporter,
) -> Task:
    """The task of a request that begins at a picture, with those of a style, a person or an object beside it:
    a model with an IP-Adapter is shown them. With any other they have no effect, which is noted."""
    shown = [
        one for one in prompt_embeddings.reference_pictures(request, images) if one.flag.startswith("--")
    ]
    if not shown:
        return task
    models.attach_adapter(model, reporter)
    if model.adapter is None:
        note = (
            f"{model.name} has no IP-Adapter, so it can't be shown pictures of a style, a person or an object"
            " while it draws from another picture: they had no effect."
        )
        return replace(task, notes=(note, *task.notes))
    given, note = _by_adapter(shown, model)
    return replace(task, generation=replace(task.generation, **given), notes=(note, *task.notes))


def _by_adapter(
    shown: list[prompt_embeddings.ReferencePicture], model: ImageModel
) -> tuple[dict[str, Any], str]:
    """Return fields of a generation whose model is shown pictures by its IP-Adapter, and a note on that."""
    scale = round(adapters.ip_adapter_scale(max(one.influence for one in shown)), 3)
    note = prompt_embeddings.ip_adapter_note(shown, model.name, scale)
    return {"references": tuple(one.image for one in shown), "reference_scale": scale}, note


def _ignored_notes(request: GenerateRequest, model: ImageModel, text: parameters.ModelText) -> list[str]:
    notes = []
    limits = [model.prompt_limit(one) for one, _ in text.spec.wanted or ((text.prompt, 1.0),)]
    if any(limits) and (not model.supports_weights or model.family.text_tokens):
        limit = next(filter(None, limits))
        notes.append(
            f"The prompt is longer than the {limit} tokens that {model.name} reads; its end had no effect."
        )
    if request.tile and model.family.unpack is None:
        notes.append(f"{model.name} decodes its pictures itself; `--tile` had no effect.")
    references = request.style_references or request.character_references or request.omni_references
    if request.kind in ("upscale", "blend") and references:
        notes.append("Pictures of a style, a person or an object had no effect here.")
    if request.kind != "upscale":  # which draws what is there, whatever the words
        texts = (request.prompt, *(part for part, _ in request.prompt_parts), request.negative_prompt)
        notes += card.notes(texts, model.card.vocabulary)
    return notes


def _reported(request: GenerateRequest, model: ImageModel, generation: Generation) -> dict[str, Any]:
    """The parameters that are reported with the result, without those that are off."""
    card, strength = model.card, generation.strength
    width, height = generation.finished_size(card.output_scale)
    # as they were asked for, without those that nobody asked for
    known = field_names(type(request), lambda parameter: parameter.reported)
    asked = {name: getattr(request, name) for name in known}
    asked = {name: value for name, value in asked.items() if value != getattr(type(request), name)}
    if generation.text_spec.varied and not generation.texts:
        added = (way.replace("{}", " ").split() for way in card.variety.at(request.chaos).ways)
        ways = [" ".join(words).strip(" ,") for words in added]
        each = enumerate((ways[seed % len(ways)] for seed in generation.seeds), 1)
        asked["variety"] = ", ".join(f"{number} {way or 'as asked'}" for number, way in each)
    reported = {
        "kind": request.kind,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt.strip(),
        "width": width,
        "height": height,
        "num_inference_steps": generation.num_inference_steps,
        "guidance_scale": generation.guidance_scale,
        "seed": request.seed,
        "num_images": request.num_images,
        "sampler": generation.sampler or card.sampler,
        "strength": strength and round(strength, 4),
        "draft": request.draft,
        "image": request.image,
        "model": model.name,
        **asked,
    }
    return {k: v for k, v in reported.items() if v is not None and v is not False and v != ""}


def undrawn(task: Task) -> Task:
    """Return the task of what needs no drawing, without the parameters that have no effect then."""
    unused = ("num_inference_steps", "guidance_scale", "sampler", "strength", "negative_prompt")
    return replace(task, parameters={k: v for k, v in task.parameters.items() if k not in unused})


def output_of_one(
    request: GenerateRequest, image: Image.Image, model: str, notes: Sequence[str], **own: Any
) -> Output:
    """Return the output of a picture for which nothing was drawn. model: what made it. own: more of its
    parameters; those that are empty are left out."""
    size = {"width": image.width, "height": image.height}
    told = {"kind": request.kind, "prompt": request.prompt, **size, "seed": request.seed}
    told |= {"image": request.image, "model": model, **{name: value for name, value in own.items() if value}}
    picture = encode.png(image, told, request.seed)
    return Output((picture,), parameters={**told, "num_images": 1, "notes": list(notes)})


def output(task: Task, drawn: Drawn, finished: Sequence[Image.Image]) -> Output:
    """Encode each picture as PNG with its parameters."""
    parameters = {**task.parameters, "notes": [*task.notes, *drawn.notes]}
    own = {k: v for k, v in parameters.items() if k not in ("notes", "num_images")}
    singles: tuple[Picture, ...] = tuple(
        encode.png(image, own | (task.each[number] if task.each else {}), seed)
        for number, (image, seed) in enumerate(zip(finished, task.generation.seeds, strict=True))
    )
    return Output(singles, parameters=parameters)


def prepare_pictures(request: GenerateRequest, images: encode.Pictures, model: ImageModel) -> Task:
    """Return the task. A picture to begin at is brought to the size that is drawn, which keeps its shape
    unless one was asked for; reference pictures are shown to the model, or drawing begins at their mean."""
    begin = images[request.image] if request.image else None
    shown = prompt_embeddings.reference_pictures(request, images)
    first = begin or (shown[0].image if shown and shown[0].flag == "an image prompt" else None)
    size, shape, notes = choose_size(request, model.card, first.size if first else (1, 1))
    notes += prompt_embeddings.ignored_pictures_notes(request)
    given: dict[str, Any] = {}
    if begin is not None:
        strength = model.card.strength if request.strength is None else request.strength
        given = {"image": encode.placed(begin, size, shape), "strength": strength}
        notes += ["Drawing began at the attached picture; the other pictures had no effect."] if shown else []
    elif shown and model.adapter is not None:
        given, note = _by_adapter(shown, model)
        notes.append(note)
    elif shown and model.family.references:
        given = {"references": prompt_embeddings.references(shown, model.family.references)}
        notes.append(prompt_embeddings.references_note(shown, model.name, model.family.references))
    elif shown and model.has(Mode.IMAGE):
        image, strength = prompt_embeddings.mean(shown, size)
        if not model.starts_by_noise(Mode.IMAGE):  # else few steps begin at noise alone
            strength = min(strength, 1 - 1 / max(2, parameters.steps(request, model.card)))
        given = {"image": image, "strength": strength if request.strength is None else request.strength}
        notes.append(prompt_embeddings.mean_note(shown, model.name, given["strength"]))
    elif shown:
        notes.append(f"{model.name} draws from words alone; the pictures had no effect.")
    mode = Mode.IMAGE if "image" in given else Mode.TEXT
    task = prepare(request, model, mode, size, shape=shape, **given)
    task = replace(task, notes=(*notes, *task.notes))
    if not request.hd:
        return task
    width, height = task.generation.finished_size(2 * model.card.output_scale)
    if model.has(Mode.IMAGE) and max(width, height) <= MAX_UPSCALED:
        return replace(task, parameters=task.parameters | {"width": width, "height": height}, is_hd=True)
    why = f"{width}x{height} px is over {MAX_UPSCALED} px a side"
    why = why if model.has(Mode.IMAGE) else f"{model.name} can't start from a picture"
    return replace(task, notes=(*task.notes, f"{why}; `--hd` had no effect."))


def draw_pictures(task: Task, model: ImageModel, reporter: Reporter) -> Drawn:
    """Return what the task draws; for ``--hd``, drawn once more at twice the side."""
    if not task.is_hd:
        return generate(model, task.generation, reporter)
    drawn = generate(model, task.generation, Stage(reporter, 0, 0.3, keeps=True))
    size = 2 * drawn.images[0].width, 2 * drawn.images[0].height
    large = [encode.resize(image, size) for image in drawn.images]
    strength = model.card.upscale["creative"]
    refined = refine(model, large, task.generation, strength, Stage(reporter, 0.3, 1))
    return Drawn(tuple(refined), drawn.notes)


def finish_pictures(task: Task, drawn: Drawn, model: ImageModel) -> Output:
    """Return the output: the pictures enlarged by the card's scale, cut to their shape, and encoded."""
    return output(task, drawn, finished_pictures(task, drawn, model))


def finished_pictures(task: Task, drawn: Drawn, model: ImageModel) -> list[Image.Image]:
    """Return the pictures enlarged by the card's scale and cut to their shape."""
    shape, seamless = task.generation.shape, task.generation.seamless
    large = (model.enlarged(image, seamless) for image in drawn.images)
    return [encode.cut_to_shape(image, shape, seamless) for image in large]


BATCH = 4  # tiles in one batch


def refine(
    model: ImageModel,
    images: Sequence[Image.Image],
    generation: Generation,
    strength: float,
    reporter: Reporter,
) -> list[Image.Image]:
    """Return ``images`` (of one size, at the model's scale, already enlarged and so still soft) with detail
    drawn by the model. generation: its texts, steps and guidance are used; its seeds are those of ``images``.
    Colours stay: the low frequencies are the old picture's."""
    side, multiple = model.card.native_size, model.card.multiple
    margin = side // 4 if generation.seamless else 0  # past an edge comes the picture's own opposite side
    canvases = [ops.padded(encode.wrapped(image, margin) if margin else image, multiple) for image in images]
    plan = ops.plan_tiles(canvases[0].size, side, multiple)
    count, batch = len(plan.places), 1 if model.family.whole_mask else BATCH
    tiled = replace(
        generation,
        mode=Mode.IMAGE,
        width=plan.tile[0],
        height=plan.tile[1],
        image=None,
        mask_image=None,
        strength=strength,
        seamless=False,
        shape=None,
        references=(),
        reference_scale=None,
        text_spec=replace(generation.text_spec, varied=()),
        images=tuple(tile for canvas in canvases for tile in plan.cut(canvas)),
        seeds=tuple(seed + i for seed in generation.seeds for i in range(count)),  # from each picture's on
        at_once=batch,
        is_tiles=True,
    )
    drawn = generate(model, tiled, reporter).images
    joined = [plan.join(drawn[i * count : (i + 1) * count]) for i in range(len(images))]
    middle = (margin, margin, margin + images[0].width, margin + images[0].height)
    pairs = zip(joined, images, strict=True)
    return [ops.recoloured(new.crop(middle), old, side / 16) for new, old in pairs]
