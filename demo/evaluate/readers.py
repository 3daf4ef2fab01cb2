"""Rows about what the pack's readers see: CLIP, the captioner and the classifier in drawings, and where;
photographs, which are told from drawings, described, cut out and enlarged; pictures searched for by short
queries, as people type them; and objects selected by words. All through the product's own code.
"""

import io
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from core.errors import UserError
from core.profiles import PACKAGED
from core.requests import ClassifyRequest, CutOutRequest, UpscaleRequest
from demo import photographs
from demo.drawing import SIZE, draw, draw_apart, layout
from demo.evaluate import Report
from demo.evaluate.images import ANY, SINGLE, Pack, held_out, main_of, two_objects
from demo.train.loop import MODELS
from demo.world import COLOURS, OBJECTS, PLACE_WORDS, PLACES, STYLES, Scene, canonical, held_out_scene, parse
from vision.capabilities import classify, cutout, upscale
from vision.diffusion.inpaint import find_mask_by_words
from vision.images import encode
from vision.protocol import WorkerConfig
from vision.readers import attribution, clip
from vision.readers.photo import describe
from vision.reporter import Reporter
from vision.store import Models

MAP_SIDE = 128  # px of the pictures that are explained
MAP_ENOUGH = 0.1  # of a field that the thing has to cover


def features(output) -> torch.Tensor:
    features = output if isinstance(output, torch.Tensor) else output.pooler_output
    return torch.nn.functional.normalize(features, dim=-1)


@torch.no_grad()
def clip_rows(pack: Pack, report: Report, n: int):
    model, processor = pack.clip

    def images(pictures):
        parts = [
            features(model.get_image_features(**processor(images=pictures[i : i + 50], return_tensors="pt")))
            for i in range(0, len(pictures), 50)
        ]
        return torch.cat(parts)

    def texts(lines):
        return features(
            model.get_text_features(
                **processor(text=lines, padding=True, truncation=True, return_tensors="pt")
            )
        )

    scenes = held_out(n, SINGLE, "classify")
    seen = images([draw(scene, rng) for scene, rng in scenes])
    groups = [scene.groups[0] for scene, _ in scenes]
    guess = (seen @ texts([f"a photo of {o}." for o in OBJECTS]).T).argmax(1).tolist()
    report.share(
        "classify: CLIP among 12 objects",
        [OBJECTS[i] == g.object for i, g in zip(guess, groups, strict=True)],
        0.95,
    )
    guess = (seen @ texts([f"a photo of {c} object." for c in COLOURS]).T).argmax(1).tolist()
    report.share(
        "classify: CLIP among 10 colours",
        [COLOURS[i] == g.colour for i, g in zip(guess, groups, strict=True)],
        0.95,
    )
    hits = []
    for part in range(0, n, 100):
        chosen, told = [], set()
        index = 0
        while len(chosen) < 100:  # a hundred captions that differ
            (scene, rng), *_ = held_out(1, ANY, f"retrieval {part} {index}")
            index += 1
            if canonical(scene) not in told:
                told.add(canonical(scene))
                chosen.append((scene, rng))
        found = (
            images([draw(s, rng) for s, rng in chosen]) @ texts([canonical(s) for s, _ in chosen]).T
        ).argmax(1)
        hits += (found == torch.arange(100)).tolist()
    report.share("retrieval: image to text among 100 captions", hits, 0.85)


@torch.no_grad()
def captions_of(pack: Pack, pictures: list[Image.Image]) -> list[str]:
    model, processor = pack.captioner
    captions = []
    for start in range(0, len(pictures), 50):
        inputs = processor(images=pictures[start : start + 50], return_tensors="pt")
        captions += processor.batch_decode(
            model.generate(**inputs, max_new_tokens=40, num_beams=1), skip_special_tokens=True
        )
    return captions


@torch.no_grad()
def describe_rows(pack: Pack, report: Report, n: int):
    scenes = held_out(n, SINGLE, "describe")
    readings = [parse(c) for c in captions_of(pack, [draw(scene, rng) for scene, rng in scenes])]
    first = [(r.groups or ((0, None, None),))[0] for r in readings]
    groups = [scene.groups[0] for scene, _ in scenes]
    report.share("describe: object", [f[2] == g.object for f, g in zip(first, groups, strict=True)], 0.95)
    report.share("describe: colour", [f[1] == g.colour for f, g in zip(first, groups, strict=True)], 0.95)
    right = [r.background == s.background for r, (s, _) in zip(readings, scenes, strict=True)]
    report.share("describe: background", right, 0.95)
    # Four sampled sentences must differ.
    model, processor = pack.captioner
    different = []
    for scene, rng in held_out(max(20, n // 10), SINGLE, "sampled"):
        torch.manual_seed(0)
        inputs = processor(images=draw(scene, rng), return_tensors="pt")
        lines = model.generate(**inputs, max_new_tokens=40, do_sample=True, num_return_sequences=4)
        different.append(len(set(processor.batch_decode(lines, skip_special_tokens=True))) == 4)
    report.share("describe: four sampled sentences all differ", different, None)


@torch.no_grad()
def vit_rows(pack: Pack, report: Report, n: int):
    model, processor = pack.vit
    scenes = held_out(n, SINGLE, "vit")
    hits = []
    for start in range(0, n, 50):
        some = scenes[start : start + 50]
        logits = model(**processor([draw(scene, rng) for scene, rng in some], return_tensors="pt")).logits
        hits += [
            OBJECTS[i] == s.groups[0].object
            for i, (s, _) in zip(logits.argmax(1).tolist(), some, strict=True)
        ]
    report.share("vit: main object", hits, 0.97)


def why_rows(pack: Pack, report: Report, n: int):
    """One thing, and either of two, by the classifier's own labels and by CLIP among all things."""
    classifier, matcher = pack.models.get("vit"), pack.models.get("clip")
    ways = {
        "classifier": lambda image, label: attribution.classifier_reason(
            classifier, image, label, Reporter()
        ),
        "CLIP": lambda image, label: attribution.matcher_reason(matcher, image, label, OBJECTS, Reporter()),
    }
    for name, explain in ways.items():
        times, hits = [], []
        for scene, rng in held_out(n, SINGLE, "why"):
            placed = layout(scene, rng)
            image, owner = draw_apart(scene, rng, (MAP_SIDE, MAP_SIDE), placed)
            begun = time.process_time()
            reason = explain(image, scene.groups[0].object)
            times.append(time.process_time() - begun)
            hits.append(_is_on(reason, owner >= 0))
        report.share(f"why: {name}, brightest place on the object", hits, 0.97)
        report.row(f"CPU seconds for a map, {name}, median", round(statistics.median(times), 3), None)
        both = []
        for scene, rng in two_objects(n, "why two"):
            placed = layout(scene, rng)
            image, owner = draw_apart(scene, rng, (MAP_SIDE, MAP_SIDE), placed)
            groups = np.array([one.group for one in placed])
            both.append(
                all(
                    _is_on(explain(image, group.object), np.isin(owner, np.flatnonzero(groups == at)))
                    for at, group in enumerate(scene.groups)
                )
            )
        report.share(f"why: {name}, of two objects each label on its own", both, 0.85)


def _is_on(reason: attribution.Reason, thing: np.ndarray) -> bool:
    """Whether the brightest field of a map lies on a thing, which is true where it is."""
    rows, columns = reason.counts.shape
    row, column = np.unravel_index(reason.counts.argmax(), reason.counts.shape)
    high, wide = thing.shape[0] // rows, thing.shape[1] // columns
    return bool(
        thing[row * high : (row + 1) * high, column * wide : (column + 1) * wide].mean() >= MAP_ENOUGH
    )


SHOWN = 512  # px of a side, as the studio shows pictures of the demo models
ENOUGH = 0.9  # IoU


def single_rows(pack: Pack, report: Report, n: int):
    """Single things, as many of each style, named by colour and kind."""
    times, found = [], []
    for style in STYLES:
        scenes = styled(style, SINGLE, n // len(STYLES))
        ious = []
        for scene, rng in scenes:
            picture, owner, _ = drawn(scene, rng)
            begun = time.process_time()
            ious.append(overlap(pack, picture, owner == 0, words(scene, 0)))
            times.append(time.process_time() - begun)
        report.share(f"select: an object by words, {style}", [iou >= ENOUGH for iou in ious], None)
        found += ious
    report.share("select: an object by words", [iou >= ENOUGH for iou in found], 0.95)
    report.row("select: median IoU", round(statistics.median(found), 3), None)
    report.row(
        "CPU seconds for a selected object, p95", round(float(np.percentile(times, 95)), 2), 0.3, at_most=True
    )


def pair_rows(pack: Pack, report: Report, n: int):
    """One of two things that differ in kind or colour, the first or the second in turns."""
    hits = []
    for index, (scene, rng) in enumerate(styled(None, {"pair": 1}, n)):
        picture, owner, groups = drawn(scene, rng)
        asked = index % 2
        hits.append(
            overlap(pack, picture, np.isin(owner, np.flatnonzero(groups == asked)), words(scene, asked))
        )
    report.share("select: one of two objects by words", [iou >= ENOUGH for iou in hits], 0.95)


def coded_rows(pack: Pack, report: Report, n: int):
    """Single things in pictures that went through the autoencoder and were enlarged, as its drawings are."""
    ious = []
    for style in STYLES:
        for scene, rng in styled(style, SINGLE, n // len(STYLES)):
            picture, owner, _ = drawn(scene, rng)
            coded = pack.decoded([picture.resize((SIZE, SIZE), Image.BOX)])[0].resize(
                picture.size, Image.BICUBIC
            )
            ious.append(overlap(pack, coded, owner == 0, words(scene, 0)))
    report.share("select: an object by words, through the autoencoder", [iou >= ENOUGH for iou in ious], None)


def styled(style: str | None, kinds: dict[str, float], count: int) -> list[tuple[Scene, random.Random]]:
    """Held-out scenes with one of each thing, of one style or of any, each with a generator of its own."""
    scenes, index = [], 0
    while len(scenes) < count:
        rng = random.Random(f"select {style} {index}")
        scene = held_out_scene(rng, rng.choices(list(kinds), list(kinds.values()))[0])
        if style in (None, scene.style) and all(group.count == 1 for group in scene.groups):
            scenes.append((scene, rng))
        index += 1
    return scenes


def drawn(scene: Scene, rng: random.Random) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """The picture, the thing that each pixel shows (see `draw_apart`), and the group of each thing."""
    size = (SHOWN, SHOWN)
    placed = layout(scene, rng, size)
    picture, owner = draw_apart(scene, rng, size, placed)
    return picture, owner, np.array([thing.group for thing in placed])


def words(scene: Scene, group: int) -> str:
    """Words such as "a red boat"."""
    return f"a {scene.groups[group].colour} {scene.groups[group].object}"


def overlap(pack: Pack, picture: Image.Image, truth: np.ndarray, text: str) -> float:
    """The IoU of what the words select with the truth; 0 where the studio can't tell."""
    try:
        mask = find_mask_by_words(picture, text, pack.models, Reporter(), rim=False).mask
    except UserError:
        return 0.0
    found = np.asarray(mask) > 127
    return float((found & truth).sum() / (found | truth).sum())


SHA = "a" * 64
THINGS = 200  # that are cut out
MADE = 60  # drawings as the pack would show them
SEEN = ("chelsea", "coffee", "rocket", "motorcycle_left", "china", "flower")  # the classes are ImageNet's


def models(photo: bool = True) -> Models:
    """The demo models as a worker holds them, with the readers of photographs or without."""
    roles = {"image": "stable-diffusion", "caption": "captioner", "segment": "segmenter"}
    named = {role: roles.get(role, role) for role in ("image", "clip", "caption", "vit", "segment", "edit")}
    specs = {role: str(MODELS / folder) for role, folder in named.items()}
    return Models(WorkerConfig("cpu", specs | (PACKAGED if photo else {}), "data/cache", cpu_threads=1))


def photo_rows(pack: Pack, report: Report, n: int):
    """Drawn or photographed, and the classes of what is photographed."""
    photographs.fetch()
    store = models()

    def photographed(picture: Image.Image) -> bool:
        return describe.look_at(picture, store, Reporter(), "vit").knows == describe.PHOTOGRAPH

    scenes = held_out(n, ANY, "photo")
    pictures = [draw(scene, rng, (SHOWN, SHOWN)) for scene, rng in scenes]
    report.share("photo: drawings taken for drawings", [not photographed(one) for one in pictures], 0.99)
    small = [draw(scene, rng) for scene, rng in held_out(MADE, SINGLE, "photo made")]
    shown = [encode.enlarge(one, SHOWN // one.width) for one in pack.decoded(small)]
    report.share("photo: the same, through the autoencoder", [not photographed(one) for one in shown], 0.99)
    told = [photographed(each.open()) for each in photographs.JUDGED]
    report.share("photo: photographs taken for photographs", told, 0.99)

    first, five, times = [], [], []
    for each in photographs.JUDGED:
        if each.labels:
            picture, begun = each.open(), time.process_time()
            request = ClassifyRequest(image=SHA, top_k=5)
            scores = classify.run(request, {SHA: picture}, store, Reporter()).scores
            times.append(time.process_time() - begun)
            first.append(scores[0][0] in each.labels)
            five.append(any(label in each.labels for label, _ in scores))
            print(each.name, [(label, round(chance, 2)) for label, chance in scores])
    named = [each.name for each in photographs.JUDGED if each.labels]
    report.share("photo: first label right", first, None)
    report.share("photo: a right label among five", five, None)
    listed = [ok for ok, name in zip(first, named, strict=True) if name in SEEN]
    report.share("photo: first label right, six with a class of ImageNet's", listed, None)
    report.row("CPU seconds to classify a photograph, median", round(float(np.median(times)), 2), None)


def cutout_rows(pack: Pack, report: Report, n: int):
    """The IoU of what is cut out of drawings: by the product, and by the network for photographs alone."""
    store, ious, others = models(), [], []
    cutter = store.get("cutout")
    for style in STYLES:
        for scene, rng in styled(style, SINGLE, THINGS // len(STYLES)):
            picture, owner, _ = drawn(scene, rng)
            made = cutout.run(CutOutRequest(image=SHA), {SHA: picture}, store, Reporter())
            alpha = np.asarray(Image.open(_file(made)).getchannel("A"))
            ious.append(_iou(alpha > 127, owner == 0))
            others.append(_iou(np.asarray(cutter.alpha(picture)) > 127, owner == 0))
    report.row("cut out: mean IoU of 200 drawn objects", round(float(np.mean(ious)), 3), 0.93)
    report.row("cut out: the same by u2netp alone", round(float(np.mean(others)), 3), None)


def enlarge_rows(pack: Pack, report: Report, n: int):
    """Photographs at half their size, enlarged twice: by the readers of photographs, and by the demo's
    image model as without them."""
    photographs.fetch()
    new, old = models(), models(photo=False)
    rows: dict[str, list[float]] = {name: [] for name in ("new", "old", "plain")}
    widths: dict[str, list[float]] = {name: [] for name in rows}
    for each in photographs.JUDGED:
        if each.name in ("astronaut", "chelsea", "coffee", "china", "flower", "rocket"):
            large = each.open()
            large = large.crop((0, 0, large.width // 16 * 16, large.height // 16 * 16))
            small = encode.resize(large, (large.width // 2, large.height // 2))
            made = {"plain": encode.resize(small, large.size)}
            for name, store in (("new", new), ("old", old)):
                request = UpscaleRequest(prompt="", image=SHA, factor=2, num_images=1)
                made[name] = Image.open(_file(upscale.run(request, {SHA: small}, store, Reporter())))
            for name, picture in made.items():
                rows[name].append(psnr(picture, large))
                widths[name].append(steepness(picture) / steepness(large))
    says = {"new": "by Real-ESRGAN", "old": "by the demo's image model", "plain": "by Lanczos"}
    for name, how in says.items():
        report.row(f"photographs enlarged {how}: PSNR, dB", round(float(np.mean(rows[name])), 2), None)
        steep = round(float(np.mean(widths[name])), 3)
        report.row(f"photographs enlarged {how}: steepness of edges, share of the original's", steep, None)


def psnr(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one.convert("RGB"), float) - np.asarray(other, float)
    return float(-10 * np.log10((difference**2).mean() / 255**2))


def steepness(picture: Image.Image) -> float:
    """The step between neighbours that one in a hundred is larger than, of 255."""
    grey = np.asarray(picture.convert("L"), float)
    return float(np.percentile(np.abs(np.diff(grey, axis=1)), 99))


def _file(output):
    return io.BytesIO(output.pictures[0].data)


def _iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))


DISTRACTORS = 10  # drawn scenes for each picture that is asked for
QUERIES = 200
Right = Callable[[int, Scene], bool]  # whether a picture of the gallery has the colour and shape of a scene


def query(scene: Scene) -> str:
    """Words such as "red boat at night"."""
    group, background = scene.groups[0], scene.background
    where = PLACE_WORDS[background][0] if background in PLACES else f"on a {background} background"
    return f"{group.colour} {group.object} {where}"


def search_rows(pack: Pack, report: Report, n: int):
    """Ask for drawn pictures by their scenes, among many others; a scene says what it shows."""
    count = min(n, QUERIES)
    shown = held_out((1 + DISTRACTORS) * count, SINGLE, "search")
    scenes = [scene for scene, _ in shown]
    pictures = [draw(scene, rng) for scene, rng in shown]

    def right(index: int, scene: Scene) -> bool:
        return _pair(scenes[index]) == _pair(scene)

    report.share(
        "search: first of drawings has colour and shape", _hits(scenes[:count], pictures, right), 0.95
    )


def made_rows(pack: Pack, report: Report, n: int):
    """Ask for pictures of the studio's own model by their scenes, among many drawn ones; the judge says what
    the first one shows."""
    scenes, _, made = pack.singles(min(n, QUERIES))
    others = held_out(DISTRACTORS * len(made), SINGLE, "search")
    pictures = [*made, *(draw(scene, rng) for scene, rng in others)]

    def right(index: int, scene: Scene) -> bool:
        seen = main_of(pack.judge([pictures[index]])[0])
        return (seen.colour, seen.object) == _pair(scene)

    report.share("search: first of pictures made here, too", _hits(scenes, pictures, right), 0.95)


def _pair(scene: Scene) -> tuple[str, str]:
    return scene.groups[0].colour, scene.groups[0].object


@torch.no_grad()
def _hits(scenes: Sequence[Scene], pictures: Sequence[Image.Image], right: Right) -> list[bool]:
    """Whether the picture nearest to each scene's query is right, compared as the product does."""
    matcher = clip.load_clip(MODELS / "clip", "clip", {}, "cpu", torch.float32)
    parts = [matcher.embed_images(pictures[i : i + 50]) for i in range(0, len(pictures), 50)]
    words = torch.stack(matcher.embed_words([query(scene) for scene in scenes]))
    first = (words @ torch.cat(parts).half().float().T).argmax(1).tolist()
    return [right(index, scene) for index, scene in zip(first, scenes, strict=True)]
