"""Rows about what the pack's readers see in drawn pictures: CLIP, the captioner and the classifier, and
where they see it."""

import statistics
import time

import numpy as np
import torch
from PIL import Image

from demo.captions import canonical, parse
from demo.drawing import draw, draw_apart, layout
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import ANY, SINGLE, held_out, two_objects
from demo.world import COLOURS, OBJECTS
from vision.explain import reasons
from vision.reporter import Reporter

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
        "classifier": lambda image, label: reasons.of_classifier(classifier, image, label, Reporter()),
        "CLIP": lambda image, label: reasons.of_matcher(matcher, image, label, OBJECTS, Reporter()),
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
        report.share(f"why: {name}, brightest place on the thing", hits, 0.97)
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
        report.share(f"why: {name}, of two things each label on its own", both, 0.85)


def _is_on(reason: reasons.Reason, thing: np.ndarray) -> bool:
    """Whether the brightest field of a map lies on a thing, which is true where it is."""
    rows, columns = reason.counts.shape
    row, column = np.unravel_index(reason.counts.argmax(), reason.counts.shape)
    high, wide = thing.shape[0] // rows, thing.shape[1] // columns
    return bool(
        thing[row * high : (row + 1) * high, column * wide : (column + 1) * wide].mean() >= MAP_ENOUGH
    )
