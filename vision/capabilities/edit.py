"""/edit: a picture changed as words say, by a model that was trained for it; what they don't name stays."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from core.errors import UserError
from core.events import Output
from core.limits import MAX_SIDE
from core.requests import EditRequest, OutpaintRequest
from vision.capabilities import outpaint
from vision.capabilities.variation import within_aspect
from vision.diffusion import task as drawing
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn
from vision.edits import layers, several
from vision.edits.instruction import Instruction, read_instruction, with_colour, with_own_colour
from vision.families import Mode
from vision.images import encode
from vision.images.ops import Box
from vision.readers.photo import describe
from vision.readers.segmentation import ObjectSegmenter
from vision.reporter import Quiet, Reporter, Stage
from vision.store import Models
from vision.video.cutout.compose import find_object_mask
from vision.weights.card import unknown

UNDRAWN = ("colour", "remove")  # of a photograph: its own pixels, in another colour, or without an object
NOTHING_CAME = "“{}” wasn't found in the picture or in what was drawn, so the picture is as it was."
GIVEN_COLOUR = "Its colour wasn't named, so it was drawn {}."
IN_PLACE = ("colour", "replace")  # what is drawn where an object is
MOSTLY = 0.9  # of an object that comes: it is rarely drawn a second time
EDGES = 16  # how many of the soft edges between old and new make the native side
SAY_HOW = (
    "{} is shown one picture at a time. Say which object of the others goes where, for example `put the cat"
    " of 2 next to the house`, or `replace the house with the boat of 2`."
)

SAY_STYLE = (
    "{} is shown one picture at a time, so it can't take the style of another. Draw a new picture with"
    " `--sref` and that picture instead, or name the style in words."
)


def run(request: EditRequest, images: encode.Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities. Raises ModelError for a model that can't edit.

    Further instructions go on from each picture with its own seed, as edits one by one would.
    """
    assert request.image is not None  # its constructor has checked that
    model = models.editor(request.model, reporter)
    count, steps = 1 + len(request.images), 1 + len(request.then)
    if count > 1 and not model.takes_several:
        if not any(several.read_joinings(words, count) for words in request.instructions):
            of_style = any("style" in words.lower() for words in request.instructions)
            raise UserError((SAY_STYLE if of_style else SAY_HOW).format(model.name))
    stages = [Stage(reporter, at / steps, (at + 1) / steps, keeps=True) for at in range(steps)]
    first, stage = replace(request, then=()), stages[0] if request.then else reporter
    task, made = _changed(first, images[request.image], images, models, stage)
    notes = list(task.notes)
    for words, stage in zip(request.then, stages[1:], strict=True):
        share = (stage.share[1] - stage.share[0]) / len(made)
        for at, (image, seed) in enumerate(zip(made, task.generation.seeds, strict=True)):
            begin = stage.share[0] + at * share
            one = replace(request, prompt=words, prompt_parts=(), then=(), seed=seed, num_images=1)
            further, [made[at]] = _changed(one, image, images, models, Stage(reporter, begin, begin + share))
            notes += further.notes
    parameters = task.parameters | ({"then": list(request.then)} if request.then else {})
    parameters |= {"width": made[0].width, "height": made[0].height}
    task = replace(task, parameters=parameters, notes=tuple(dict.fromkeys(notes)))
    return reporter.in_thread(lambda: drawing.output(task, Drawn(tuple(made)), made))


def _changed(
    request: EditRequest, start: Image.Image, images: encode.Pictures, models: Models, reporter: Reporter
) -> tuple[drawing.Task, list[Image.Image]]:
    """Carry out one instruction on ``start``: the task, and a picture for each of its seeds."""
    model = models.editor(request.model, reporter)
    model.pipeline(Mode.EDIT)
    start, notes = within_aspect(start)
    if request.images and not model.takes_several:
        joinings = several.read_joinings(request.prompt, 1 + len(request.images))
        if joinings:
            return _joined(request, joinings, start, images, model, models, reporter)
    asked, reader = read_instruction(request.prompt), _reader(models, reporter)
    own_shape = request.width is None and request.height is None and request.aspect_ratio is None
    objects = None
    if reader is not None and model.card.output_scale > 1 and own_shape:  # a small one may draw all anew
        is_drawn, there = _objects(start, asked, reader, models, reporter)
        objects = reporter.in_thread(lambda: layers.find_named(start, asked, reader, there, drawn=is_drawn))
        if not is_drawn and asked.kind in UNDRAWN:
            without_drawing = reporter.in_thread(lambda: objects.lay(start)) if objects else None
            task = drawing.undrawn(prepare(request, start, model))
            reporter.step(1, 1)
            return _kept(task, [without_drawing] * request.num_images, start, asked, notes)
    if objects is not None and asked.kind == "add":
        ground = np.median(np.asarray(start, np.float32), (0, 1)).tolist()
        words, colour = with_colour(request.prompt, model.card.colours, ground)
        notes = [*notes, *([GIVEN_COLOUR.format(colour)] if colour else [])]
        worded, mostly = replace(request, prompt=words), Stage(reporter, 0, MOSTLY, keeps=True)
        task, came = draw_added(worded, layers.GROUNDS[0], objects, model, mostly)
        if None in came:
            task, again = draw_added(worded, layers.GROUNDS[1], objects, model, Stage(reporter, MOSTLY, 1))
            came = [one or other for one, other in zip(came, again, strict=True)]
        task = replace(task, parameters=task.parameters | {"prompt": request.prompt})
        return _kept(task, came, start, asked, notes)
    said = request.prompt
    if objects is not None and objects.drawn and model.card.colours and asked.kind == "replace":
        colours = reporter.in_thread(lambda: {objects.reader.colour(start, one) for one in objects.meant})
        known = "" if len(colours) > 1 or unknown(sorted(colours), model.card.vocabulary) else colours.pop()
        request = replace(request, prompt=with_own_colour(request.prompt, asked.new, known))
    parted = objects is not None and objects.box is not None
    others = tuple(images[name] for name in request.images) if model.takes_several else ()
    task = prepare(request, start, model, others)
    task = replace(task, parameters=task.parameters | {"prompt": said})
    drawn = generate(model, task.generation, Stage(reporter, 0, 0.5, keeps=True) if parted else reporter)
    size = task.generation.finished_size(model.card.output_scale)
    old = start if own_shape else encode.resize(start, size)
    news = reporter.in_thread(lambda: [_laid_over(old, image, model, task, asked) for image in drawn.images])
    made: list[Image.Image | None] = [laid for laid, _ in news]
    laid, whole = [one for one, _ in news], [new for _, new in news]
    if objects is None:
        pass
    elif not reporter.in_thread(lambda: objects.redraws(laid, whole)):
        if asked.kind == "colour":  # its lines stay its own
            made = reporter.in_thread(lambda: [objects.lay(new) for new in whole])
    else:
        if asked.kind not in IN_PLACE or not parted:
            alone = asked.kind == "replace"  # moved to where it has room
            made = reporter.in_thread(lambda: [objects.lay(new, alone=alone) for _, new in news])
        if parted and (asked.kind in IN_PLACE or None in made):  # the part alone, with nothing else in it
            part = prepare(request, objects.start, model)
            drawn = generate(model, part.generation, Stage(reporter, 0.5, 1))
            parts = (objects.around(_cut(one, model, part)[0]) for one in drawn.images)
            made = reporter.in_thread(lambda: [objects.lay(new, alone=True) for new in parts])
        return _kept(task, made, start, asked, (*notes, *drawn.notes))
    finished = [one or laid for one, (laid, _) in zip(made, news, strict=True)]
    return replace(task, notes=(*notes, *task.notes, *drawn.notes)), finished


def draw_added(
    request: EditRequest,
    ground: tuple[int, ...],
    objects: layers.Objects,
    model: ImageModel,
    reporter: Reporter,
) -> tuple[drawing.Task, list[Image.Image | None]]:
    """Draw what comes on a plain ground: the task, and a picture for each seed, None = it can't be seen."""
    task = prepare(request, Image.new("RGB", objects.old.size, ground), model)
    drawn = generate(model, task.generation, reporter)
    made = reporter.in_thread(
        lambda: [objects.lay(_cut(one, model, task)[0], alone=True) for one in drawn.images]
    )
    return replace(task, notes=(*task.notes, *drawn.notes)), made


def _kept(
    task: drawing.Task,
    made: Sequence[Image.Image | None],
    start: Image.Image,
    asked: Instruction,
    notes: Sequence[str],
) -> tuple[drawing.Task, list[Image.Image]]:
    """Return what was made; where that is nothing, the picture as it was, and a note about that."""
    missed = asked.new or asked.named or "the object"
    more = (NOTHING_CAME.format(missed),) if None in made else ()
    return replace(task, notes=(*notes, *task.notes, *more)), [one or start for one in made]


def _cut(image: Image.Image, model: ImageModel, task: drawing.Task) -> tuple[Image.Image, np.ndarray | None]:
    """Return what was drawn at the product's size, and where the model has let it change; None = anywhere."""
    shape, scale, changed = task.generation.shape, model.card.output_scale, None
    if image.mode == "RGBA":
        size = image.width * scale, image.height * scale
        cells = image.getchannel("A").resize(size, Image.Resampling.NEAREST)
        changed = np.asarray(encode.cut_to_shape(cells, shape)) > 0
    return encode.cut_to_shape(model.enlarged(image.convert("RGB")), shape), changed


def _laid_over(
    old: Image.Image, image: Image.Image, model: ImageModel, task: drawing.Task, asked: Instruction
) -> tuple[Image.Image, Image.Image]:
    """Return the picture with what was drawn where it has changed, and all of what was drawn."""
    new, changed = _cut(image, model, task)
    if changed is None:
        return layers.by_difference(old, new), new
    if changed.all() and asked.kind in ("whole", "ground"):
        return new, new
    edge = model.card.native_size * model.card.output_scale // EDGES
    return layers.laid_where(old, new, changed, edge), new


def _reader(models: Models, reporter: Reporter) -> layers.Reader | None:
    """What finds objects by words; None where no such model is configured."""
    roles = models.config.models
    segmenter = models.get("segment", reporter) if roles.get("segment") else None
    if not isinstance(segmenter, ObjectSegmenter):
        return None
    return layers.Reader(segmenter, models.get("clip", reporter) if roles.get("clip") else None)


def prepare(
    request: EditRequest, start: Image.Image, model: ImageModel, others: tuple[Image.Image, ...] = ()
) -> drawing.Task:
    """Return the task: the picture in its own shape at about the native area. others: shown beside it."""
    size, shape, more = drawing.choose_size(request, model.card, start.size)
    image = encode.placed(start, size, shape)
    worded = replace(request, prompt=several.for_lists(request.prompt)) if others else request
    task = drawing.prepare(worded, model, Mode.EDIT, size, image=image, shape=shape, references=others)
    task = replace(task, parameters=task.parameters | {"prompt": request.prompt})
    ignored = [name for name, given in (("strength", request.strength), ("tile", request.tile)) if given]
    notes = [f"`--{name}` had no effect on an edit." for name in ignored]
    return replace(task, notes=(*notes, *more, *task.notes))


def _joined(
    request: EditRequest,
    joinings: Sequence[several.Joining],
    start: Image.Image,
    images: encode.Pictures,
    model: ImageModel,
    models: Models,
    reporter: Reporter,
) -> tuple[drawing.Task, list[Image.Image]]:
    """Lay objects of other pictures into ``start``; its pictures are all the same."""
    task, made, pictures = prepare(request, start, model), start, (request.image, *request.images)
    for joining in joinings:
        name = pictures[joining.number - 1]
        assert name is not None
        cut = layers.cut_object(
            images[name], _one(images[name], joining.named, joining.number, models, reporter)
        )
        anchor = _one(made, joining.anchor, 1, models, reporter)
        reporter.check()
        if joining.instead:
            made = several.laid_instead(made, cut, anchor)
            continue
        side, free = several.side_with_room(made.size, anchor.box, joining.side)
        box = anchor.box
        if free < several.LEAST_ROOM and max(made.size) * several.ZOOM <= MAX_SIDE:
            made, box = _zoomed_out(request, made, box, side, models, reporter)
        made = several.laid_beside(made, cut, box, side)
    reporter.step(1, 1)
    return drawing.undrawn(task), [made] * request.num_images


def _objects(
    image: Image.Image, asked: Instruction, reader: layers.Reader, models: Models, reporter: Reporter
) -> tuple[bool, list[layers.Found]]:
    """Return whether a picture is drawn, and its objects; of a photograph the one that stands out."""
    if asked.kind in ("whole", "alter"):
        return True, []
    if describe.look_at(image, models, reporter, "segment").chances is None:
        return True, reporter.in_thread(lambda: layers.find_objects(reader.segmenter, image))
    found = _that_stands_out(image, asked.named, models, reporter)
    return False, [found] if found else []


def _that_stands_out(
    image: Image.Image, words: str, models: Models, reporter: Reporter
) -> layers.Found | None:
    mask = find_object_mask(image, words, models, reporter)
    box = mask and mask.getbbox()
    return layers.Found(mask, box, "") if mask and box else None


def _one(image: Image.Image, words: str, number: int, models: Models, reporter: Reporter) -> layers.Found:
    """Return the object of a picture that words mean, "" = the one that stands out. Raises UserError."""
    reader = _reader(models, reporter)
    if reader is not None:
        _, there = _objects(image, Instruction("remove", words), reader, models, reporter)
        named = reporter.in_thread(lambda: reader.named(image, there, words))
        if named:
            return named[0]
    if (found := _that_stands_out(image, words, models, reporter)) is None:
        what = words or "the object"
        raise UserError(f"Nothing in picture {number} fits “{what}”, so it can't be cut out.")
    return found


def _zoomed_out(
    request: EditRequest, image: Image.Image, box: Box, side: str, models: Models, reporter: Reporter
) -> tuple[Image.Image, Box]:
    """Return the picture with more ground on a side, in its own shape, and where the box is now."""
    across, down = (round(length * (several.ZOOM - 1)) for length in image.size)
    left = {"left": across, "right": 0}.get(side, across // 2)
    top = {"above": down, "below": 0}.get(side, down // 2)
    name = request.image or ""
    asked = OutpaintRequest(
        prompt=request.about or "background",
        image=name,
        seed=request.seed,
        left=left,
        right=across - left,
        top=top,
        bottom=down - top,
    )
    made = outpaint.run(asked, {name: image}, models, Quiet(reporter))
    wide = Image.open(io.BytesIO(made.pictures[0].data)).convert("RGB")
    return wide, (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
