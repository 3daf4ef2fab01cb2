"""Rows about what the pack's readers see in drawn pictures: CLIP, the captioner and the classifier."""

import torch
from PIL import Image

from demo.captions import canonical, parse
from demo.drawing import draw
from demo.evaluation.pack import Pack
from demo.evaluation.report import Report
from demo.evaluation.scenes import ANY, SINGLE, held_out
from demo.world import COLOURS, OBJECTS


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
