"""/imagine: one to four pictures from words, or from words and a picture to start from. ``--think`` looks at
each picture, changes what misses a part of the prompt, and draws more where that didn't help."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from core.errors import ModelError
from core.events import Output
from core.limits import MAX_SEED
from core.requests import EditRequest, ImagineRequest
from vision.capabilities import edit
from vision.diffusion import prompt_embeddings, task
from vision.diffusion.model import ImageModel
from vision.diffusion.parameters import Drawn
from vision.images.encode import Pictures
from vision.protocol import Taste
from vision.readers.captioner import Captioner
from vision.readers.scene import Scene, Thing, can_read, read_scene
from vision.readers.wants import Ground, Part, Place, Want, Writing, lexicon_of, wants_of
from vision.reporter import Quiet, Reporter, Stage
from vision.store import Models
from vision.taste import best_of, most_liked_first
from vision.weights.card import read_card

DRAWN_WIDE = 0.8  # of the whole work: when the drawings are there that a taste chooses among
SHEET_DRAWN = 0.9  # of the whole work: when the drafts of a sheet are there that a taste puts in order
WISHES = 2  # edits of a picture, at most
# of the whole work: when the pictures are drawn, changed, and more are drawn, three times at most
DRAWN, MENDED, AGAIN = 0.5, 0.75, (0.85, 0.92, 0.97)
MOST_AGAIN = 4  # pictures that are drawn again together
NOWHERE = (0.0, 0.0, 0.0, 0.0)  # the box of what a caption names
NAMELESS = frozenset({"ground", "background"})  # of a segmenter's classes: no objects


def run(
    request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter, taste: Taste | None = None
) -> Output:
    """See vision.capabilities. taste: by which pictures are chosen."""
    if request.think:
        output = _think(request, images, models, reporter)
        if taste is not None:
            notes = ("`--p` had no effect: `--think` chooses here.", *output.parameters.get("notes", ()))
            output = replace(output, parameters={**output.parameters, "notes": notes})
        return output
    if taste is not None and request.is_sheet:
        return _in_order(request, images, models, reporter, taste)
    if taste is not None:
        return _choose(request, images, models, reporter, taste)
    model, prepared = _prepare(request, images, models, reporter)
    drawn = task.draw_pictures(prepared, model, reporter)
    return reporter.in_thread(lambda: task.finish_pictures(prepared, drawn, model))


def _prepare(
    request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter
) -> tuple[ImageModel, task.Task]:
    model = models.image(request.model, reporter)
    if prompt_embeddings.reference_pictures(request, images):
        models.attach_adapter(model, reporter)
    return model, task.prepare_pictures(request, images, model)


def _choose(
    request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter, taste: Taste
) -> Output:
    """Draw more pictures than are asked for, and keep those that a taste likes best."""
    model, prepared = _prepare(request, images, models, reporter)
    told, used = [taste.note] if taste.note else [], dict[str, int]()
    if taste.direction and not request.candidates:
        told.append("`--p` had no effect: `--stylize 0` turns it off.")
    if taste.direction and request.candidates > request.num_images:
        count, number = request.candidates, request.num_images
        seeds = tuple((request.seed + i) % (MAX_SEED + 1) for i in range(count))
        generation = replace(prepared.generation, seeds=seeds, at_once=number)
        drawn = task.draw_pictures(
            replace(prepared, generation=generation, is_hd=False), model, Stage(reporter, 0, DRAWN_WIDE)
        )
        try:
            kept = best_of(drawn.images, number, taste, request.prompt, models, reporter)
            told.insert(0, f"`--p` kept {number} of {count} drawings.")
            used["candidates"] = count
        except ModelError as error:
            kept = range(number)
            told.append(f"`--p` had no effect: nothing can look at the drawings now ({error})")
        own = replace(prepared.generation, seeds=tuple(seeds[place] for place in kept))
        parameters = {name: value for name, value in prepared.parameters.items() if name != "variety"}
        prepared = replace(prepared, generation=own, parameters=parameters | used)
        if prepared.is_hd:  # in full, what is kept alone
            drawn = task.draw_pictures(prepared, model, Stage(reporter, DRAWN_WIDE, 1))
        else:
            drawn = Drawn(tuple(drawn.images[place] for place in kept), drawn.notes)
    else:
        drawn = task.draw_pictures(prepared, model, reporter)
    prepared = replace(prepared, notes=(*told, *prepared.notes))
    return reporter.in_thread(lambda: task.finish_pictures(prepared, drawn, model))


def _in_order(
    request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter, taste: Taste
) -> Output:
    """Draw a sheet, and say in which order its drafts are shown: those that a taste likes best first. Each
    keeps its place among the pictures, which its seed, its words and its number go by."""
    model, prepared = _prepare(request, images, models, reporter)
    drawn = task.draw_pictures(prepared, model, Stage(reporter, 0, SHEET_DRAWN))
    told, order = [taste.note] if taste.note else [], list[int]()
    if taste.direction and not request.candidates:
        told.append("`--p` had no effect: `--stylize 0` turns it off.")
    elif taste.direction:
        try:
            order = most_liked_first(drawn.images, taste, models, reporter)
            told.insert(0, "`--p` put first the drafts that you probably like best.")
        except ModelError as error:
            told.append(f"`--p` had no effect: nothing can look at the drawings now ({error})")
    prepared = replace(prepared, notes=(*told, *prepared.notes))
    made = reporter.in_thread(lambda: task.finish_pictures(prepared, drawn, model))
    return replace(made, parameters={**made.parameters, "order": order}) if order else made


@dataclass(frozen=True)
class _Candidate:
    """A finished picture. scene: what is seen in it, None where nothing is looked for. missing: what isn't in
    it. doubts: how much each of the readers misses, in all."""

    picture: Image.Image
    seed: int
    scene: Scene | None = None
    missing: tuple[Want, ...] = ()
    doubts: int = 0
    is_changed: bool = False

    @property
    def lack(self) -> tuple[int, int]:
        """How many parts are missing, and by how many things their numbers are wrong."""
        scene, parts = self.scene or Scene((), ""), [want for want in self.missing if isinstance(want, Part)]
        return len(self.missing), sum(abs(want.number_in(scene) - want.count) for want in parts)


def _think(request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    look = _Look(request, models, reporter)
    prepared, found = look.draw(request, images, Stage(reporter, 0, DRAWN if look.wants else 1))
    notes = list(prepared.notes)
    if not look.wants:
        notes.append("`--think` had no effect: nothing that the words name can be read in pictures here.")
    elif any(one.missing for one in found):
        stage = (MENDED - DRAWN) / len(found)
        stages = (Stage(reporter, DRAWN + i * stage, DRAWN + (i + 1) * stage) for i in range(len(found)))
        found = [look.changed(one, part) for one, part in zip(found, stages, strict=True)]
        number, drawn, last = request.num_images, request.num_images, MENDED
        for end in AGAIN:
            if not (short := sum(len(one.missing) > 0 for one in found)):
                break
            seed, more = (request.seed + drawn) % (MAX_SEED + 1), min(2 * short, MOST_AGAIN)
            again, part = replace(request, seed=seed, num_images=more), Stage(reporter, last, end)
            found, drawn = [*found, *look.draw(again, images, part, leave=True)[1]], drawn + more
            found, last = sorted(found, key=lambda one: (len(one.missing), one.doubts))[:number], end
            lacks = {want for one in found for want in one.missing}
            by_seed = any(isinstance(want, Part) and want.count > 1 for want in lacks)
            if sum(len(one.missing) > 0 for one in found) == short and not by_seed:
                break  # a number goes by the seed, what else fails by the prompt
    if look.wants:
        notes.append(look.told(found))
    generation = replace(prepared.generation, seeds=tuple(one.seed for one in found))
    told = {name: value for name, value in prepared.parameters.items() if name != "variety"}
    if generation.seeds == prepared.generation.seeds:
        told = prepared.parameters
    kept = replace(prepared, generation=generation, parameters=told, notes=tuple(notes))
    return reporter.in_thread(lambda: task.output(kept, Drawn(()), [one.picture for one in found]))


class _Look:
    """Draws pictures for a request and looks at them. wants: what is looked for; empty where nothing can be
    read. vain: edits that brought nothing, which aren't tried again: what fails goes by the prompt."""

    def __init__(self, request: ImagineRequest, models: Models, reporter: Reporter) -> None:
        self.models, self.reporter = models, reporter
        self.vain = set[str]()
        try:
            names = [name for name in models.get("segment", reporter).labels if name not in NAMELESS]
        except (AttributeError, ModelError):  # CLIPSeg and SAM have no names for things
            names = []
        folder = Path(models.config.models.get("ask") or "no chat model")
        self.lexicon = lexicon_of(read_card(folder) if folder.is_dir() else {}, names)
        reads = can_read(models, self.lexicon.vocabulary, reporter) if names else False
        self.wants = tuple(
            want
            for want in wants_of(request.prompt, self.lexicon)
            if (models.config.models.get("ocr") if isinstance(want, Writing) else reads)
        )
        captioner = models.get("caption", reporter) if reads and models.config.models.get("caption") else None
        self.captioner = captioner if isinstance(captioner, Captioner) else None

    def draw(
        self, request: ImagineRequest, images: Pictures, stage: Stage, *, leave: bool = False
    ) -> tuple[task.Task, list[_Candidate]]:
        """Return the task of a request and its pictures, looked at. leave: pictures that fail halfway leave
        the passes, and aren't returned."""
        model, prepared = _prepare(request, images, self.models, self.reporter)
        seeds = prepared.generation.seeds
        stage.stays = self.stays if leave else None
        drawn = task.draw_pictures(prepared, model, stage)
        stay = [number for number in range(len(seeds)) if number not in drawn.left]
        kept = replace(drawn, images=tuple(drawn.images[number] for number in stay))
        pictures = stage.in_thread(lambda: task.finished_pictures(prepared, kept, model))
        prepared = replace(prepared, notes=(*prepared.notes, *drawn.notes))
        return prepared, [self.seen(one, seeds[n]) for one, n in zip(pictures, stay, strict=True)]

    def seen(self, picture: Image.Image, seed: int, *, is_changed: bool = False) -> _Candidate:
        """Return a picture with what isn't seen in it, neither at a glance nor by a caption, or, where there
        is none, by looking closely. Things that touch are easily read as one; so a number that is too great
        is believed of either. A caption tells neither where things are nor what is written."""
        if not self.wants:
            return _Candidate(picture, seed)
        image = picture.convert("RGB")
        text = self.text(image)
        scene = self.scene(image, text, closely=False)
        told = self.caption(image)
        missed = {want for want in self.wants if not want.is_in(scene)}
        if told is None and missed:
            scene = self.scene(image, text, closely=True)
            missed = {want for want in missed if not want.is_in(scene)}
        untold = {want for want in self.wants if told is not None and not want.is_in(told)}
        missing = tuple(
            want
            for want in self.wants
            if (want in missed and (want in untold or told is None or isinstance(want, Place | Writing)))
            or (isinstance(want, Part) and want.number_in(scene) > want.count)
            or (isinstance(want, Part) and told is not None and want.number_in(told) > want.count > 1)
        )
        return _Candidate(picture, seed, scene, missing, len(missed) + len(untold), is_changed)

    def stays(self, number: int, image: Image.Image) -> bool:
        """Return whether a picture that is drawn halfway has the objects that are asked for, in their number
        and their places; colours come later."""
        one = self.seen(image, number)
        asked = Counter[str]()
        for want in self.wants:
            if isinstance(want, Part):
                asked[want.name] += want.count
        there = Counter(thing.name for thing in one.scene.things) if one.scene else asked
        return not any(
            isinstance(want, Place) or (isinstance(want, Part) and there[want.name] != asked[want.name])
            for want in one.missing
        )

    def text(self, image: Image.Image) -> str:
        """Return what is written in a picture, if words are asked for."""
        if not any(isinstance(want, Writing) for want in self.wants):
            return ""
        lines = self.models.get("ocr", self.reporter).read(image, Quiet(self.reporter))
        return " ".join(line.text for line in lines)

    def scene(self, image: Image.Image, text: str, *, closely: bool) -> Scene:
        """Return what is in a picture, if more than words is asked for."""
        if all(isinstance(want, Writing) for want in self.wants):
            return Scene((), "", text=text)
        words = self.lexicon.vocabulary
        return replace(read_scene(image, words, self.models, self.reporter, closely=closely), text=text)

    def caption(self, image: Image.Image) -> Scene | None:
        """Return what a captioner says of a picture; None where there is none, or it names no object."""
        if self.captioner is None:
            return None
        [said] = self.captioner.write(image, self.reporter, self.captioner.starts[0], 0, 0.0)
        told = wants_of(said, self.lexicon)
        parts = [one for one in told if isinstance(one, Part) for _ in range(one.count)]
        things = [Thing(one.name, 1.0, one.colour, NOWHERE, 0.0) for one in parts]
        ground = next((one.name for one in told if isinstance(one, Ground)), "")
        return Scene(tuple(things), ground, text=said) if things else None

    def changed(self, one: _Candidate, stage: Reporter) -> _Candidate:
        """Return a picture in which an edit has mended what it lacks, if readers see that then."""
        parts = {want for want in self.wants if isinstance(want, Part)}
        for _ in range(WISHES if self.models.config.models.get("edit") else 0):
            scene = one.scene
            wishes = [want.wish(scene, parts - {want}) for want in one.missing] if scene else []
            wish = next((wish for wish in wishes if wish and wish not in self.vain), "")
            if not wish:
                return one
            request = EditRequest(prompt=wish, image="0" * 64, seed=one.seed, num_images=1)
            made = edit.run(request, {"0" * 64: one.picture}, self.models, stage).pictures[0]
            after = self.seen(Image.open(io.BytesIO(made.data)), one.seed, is_changed=True)
            if after.lack >= one.lack or after.picture.size != one.picture.size:
                self.vain.add(wish)
                return one
            one = after
        return one

    def told(self, kept: Sequence[_Candidate]) -> str:
        """Return a sentence that says what was seen in how many of the pictures that are kept."""
        full, changed = sum(not one.missing for one in kept), sum(one.is_changed for one in kept)
        parts = [str(want) for want in self.wants if isinstance(want, Part)]
        rest = [str(want) for want in self.wants if not isinstance(want, Part)]
        how = f"; {changed} of them changed for it" if changed else ""
        names = ", ".join([" and ".join(parts), *rest] if parts else rest)
        return f"`--think` saw {names} in {full} of {len(kept)} pictures{how}."
