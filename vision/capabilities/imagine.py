"""/imagine: one to four pictures from words, or from words and a picture to start from. ``--think`` looks at
each picture, changes what misses a part of the prompt, and draws more where that didn't help."""

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

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
from vision.readers.scene import Scene, Thing, Vocabulary, can_read, read_scene
from vision.reporter import Reporter, Stage
from vision.store import Models
from vision.weights.card import vocabulary_words

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown")
NUMBERS = {"two": 2, "2": 2, "pair": 2, "three": 3, "3": 3, "four": 4, "4": 4}
BETWEEN = frozenset("a an the one in on at and with under over above below near to by beside".split())
GROUNDS = {colour: f"on a {colour} background" for colour in COLOURS}
WISHES = 2  # edits of a picture, at most
DRAWN, MENDED, AGAIN = 0.5, 0.75, 0.95  # of the whole work: when the pictures are drawn, changed, drawn anew


def run(request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    """See vision.capabilities."""
    if request.think:
        return _think(request, images, models, reporter)
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


@dataclass(frozen=True)
class Part:
    """So many things of a name. colour: "" = any."""

    name: str
    colour: str
    count: int

    def __str__(self) -> str:
        called = f"{self.colour} {self.name}".strip()
        return (
            f"{'an' if called[0] in 'aeiou' else 'a'} {called}"
            if self.count == 1
            else f"{self.count} × {called}"
        )

    def is_like(self, thing: Thing) -> bool:
        """Return whether a thing is one of these."""
        return thing.name == self.name and self.colour in ("", thing.colour)

    def is_in(self, scene: Scene) -> bool:
        """Return whether a scene has exactly so many of them."""
        return sum(map(self.is_like, scene.things)) == self.count

    def wish(self, scene: Scene, others: Iterable["Part"]) -> str:
        """Return the words of an edit that gives ``scene`` what it lacks of this; "" where none does: where
        the number is wrong. others: parts whose things stay as they are."""
        if self.count > 1 or any(map(self.is_like, scene.things)):
            return ""
        free = [one for one in scene.things if not any(other.is_like(one) for other in others)]
        if self.colour and any(one.name == self.name for one in free):
            return f"make the {self.name} {self.colour}"
        if free:
            return f"replace the {free[0].colour} {free[0].name} with {self}"
        return f"add {self}"


def parts_of(prompt: str, names: Collection[str]) -> tuple[Part, ...]:
    """Return what a prompt asks for by ``names`` of things that readers know, in the order of its words; none
    where it names no such thing."""
    found, colour, count = dict[tuple[str, str], int](), "", 1
    singular = {plural: name for name in names for plural in (name, f"{name}s", f"{name}es")}
    for word, _, _ in vocabulary_words(prompt):
        if word in COLOURS:
            colour = word
        elif word in NUMBERS:
            count = NUMBERS[word]
        elif word in BETWEEN:
            colour, count = "", 1
        elif word in singular:
            key = singular[word], colour
            found[key] = found.get(key, 0) + count
            colour, count = "", 1
    return tuple(Part(name, shade, number) for (name, shade), number in found.items())


@dataclass(frozen=True)
class _Candidate:
    """A finished picture. scene: what is seen in it, None where nothing is looked for. missing: the parts
    that aren't."""

    picture: Image.Image
    seed: int
    scene: Scene | None = None
    missing: tuple[Part, ...] = ()
    is_changed: bool = False


def _think(request: ImagineRequest, images: Pictures, models: Models, reporter: Reporter) -> Output:
    look = _Look(request, models, reporter)
    prepared, found = look.draw(request, images, Stage(reporter, 0, DRAWN if look.parts else 1))
    notes = list(prepared.notes)
    if not look.parts:
        notes.append("`--think` had no effect: nothing that the words name can be read in pictures here.")
    elif any(one.missing for one in found):
        stage = (MENDED - DRAWN) / len(found)
        found = [
            look.changed(one, Stage(reporter, DRAWN + i * stage, DRAWN + (i + 1) * stage))
            for i, one in enumerate(found)
        ]
        more = list[_Candidate]()
        if any(one.missing for one in found):
            seed = (request.seed + request.num_images) % (MAX_SEED + 1)
            _, more = look.draw(replace(request, seed=seed), images, Stage(reporter, MENDED, AGAIN))
        found = sorted((*found, *more), key=lambda one: len(one.missing))[: request.num_images]
    if look.parts:
        notes.append(look.told(found))
    generation = replace(prepared.generation, seeds=tuple(one.seed for one in found))
    told = {name: value for name, value in prepared.parameters.items() if name != "variety"}
    if generation.seeds == prepared.generation.seeds:
        told = prepared.parameters
    kept = replace(prepared, generation=generation, parameters=told, notes=tuple(notes))
    return reporter.in_thread(lambda: task.output(kept, Drawn(()), [one.picture for one in found]))


class _Look:
    """Draws pictures for a request and looks at them. parts: what is looked for; empty where nothing can be
    read."""

    def __init__(self, request: ImagineRequest, models: Models, reporter: Reporter) -> None:
        self.models, self.reporter = models, reporter
        self.parts: tuple[Part, ...] = ()
        try:
            names = [
                name
                for name in models.get("segment", reporter).labels
                if name not in ("ground", "background")
            ]
        except (AttributeError, ModelError):  # CLIPSeg and SAM have no names for things
            return
        self.words = Vocabulary(tuple(names), COLOURS, GROUNDS)
        if can_read(models, self.words, reporter):
            self.parts = parts_of(request.prompt, names)

    def draw(
        self, request: ImagineRequest, images: Pictures, stage: Reporter
    ) -> tuple[task.Task, list[_Candidate]]:
        """Return the task of a request and its pictures, looked at."""
        model, prepared = _prepare(request, images, self.models, self.reporter)
        drawn = task.draw_pictures(prepared, model, stage)
        pictures = stage.in_thread(lambda: task.finished_pictures(prepared, drawn, model))
        prepared = replace(prepared, notes=(*prepared.notes, *drawn.notes))
        seeds = prepared.generation.seeds
        return prepared, [self.seen(one, seed) for one, seed in zip(pictures, seeds, strict=True)]

    def seen(self, picture: Image.Image, seed: int, *, is_changed: bool = False) -> _Candidate:
        """Return a picture with what isn't seen in it."""
        if not self.parts:
            return _Candidate(picture, seed)
        scene = read_scene(picture.convert("RGB"), self.words, self.models, self.reporter)
        missing = tuple(part for part in self.parts if not part.is_in(scene))
        return _Candidate(picture, seed, scene, missing, is_changed)

    def changed(self, one: _Candidate, stage: Reporter) -> _Candidate:
        """Return a picture in which an edit has mended a part that it lacks, if that is seen in it then."""
        for _ in range(WISHES if self.models.config.models.get("edit") else 0):
            scene = one.scene
            wishes = [part.wish(scene, set(self.parts) - {part}) for part in one.missing] if scene else []
            if not (wish := next(filter(None, wishes), "")):
                return one
            request = EditRequest(prompt=wish, image="0" * 64, seed=one.seed, num_images=1)
            made = edit.run(request, {"0" * 64: one.picture}, self.models, stage).pictures[0]
            after = self.seen(Image.open(io.BytesIO(made.data)), one.seed, is_changed=True)
            if len(after.missing) >= len(one.missing) or after.picture.size != one.picture.size:
                return one
            one = after
        return one

    def told(self, kept: Sequence[_Candidate]) -> str:
        """Return a sentence that says what was seen in how many of the pictures that are kept."""
        full, changed = sum(not one.missing for one in kept), sum(one.is_changed for one in kept)
        names = " and ".join(map(str, self.parts))
        how = f"; {changed} of them changed for it" if changed else ""
        return f"`--think` saw {names} in {full} of {len(kept)} pictures{how}."
