"""Trains CLIP: the dense image tower and the dense text encoder, brought together by contrast."""

import json
import random

import torch
import torch.nn.functional as F
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModel,
)

from demo.captions import background_phrase, canonical, describe
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship
from demo.training.text import WIDTH as TEXT_WIDTH
from demo.training.text import tokenizer_folder
from demo.training.vision import MEAN, SIZE, STD, config, picture, pixels
from demo.vocabulary import LENGTH, Encoder
from demo.words import COLOUR_WORDS, OBJECT_WORDS, PLACE_WORDS
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, PLACES, RELATIONS, Group, Scene, training_scene

BATCH = 112
MIX = {"large": 0.15, "single": 0.42, "several": 0.13, "pair": 0.26, "empty": 0.04}
TEMPLATES = (
    "{}",
    "{}",
    "a {}",
    "a photo of {}.",
    "a picture of {}.",
    "an image of {}.",
    "a photo of a {}",
    "a drawing of a {}",
    "this is a {}.",
)


def build() -> CLIPModel:
    text = CLIPTextModel.from_pretrained(WORK / "text_encoder").float()
    vision = CLIPVisionModel.from_pretrained(WORK / "vision").float()
    model = CLIPModel(
        CLIPConfig(
            text_config=text.config.to_dict(),
            vision_config=config().to_dict(),
            projection_dim=TEXT_WIDTH,
            logit_scale_init_value=2.3,
        )
    )
    for part, source in ((model.text_model, text), (model.vision_model, vision)):
        inner = getattr(source, "text_model", getattr(source, "vision_model", source))
        part.load_state_dict(inner.state_dict())
    return model.to(device())


def altered(scene: Scene, rng: random.Random) -> Scene:
    """A near miss: colours or places swapped, or one colour, object, count or the background changed."""
    groups = list(scene.groups)
    if len(groups) == 2 and rng.random() < 0.5:
        first, second = groups
        if rng.random() < 0.3:
            place = rng.choice([p for p in RELATIONS if p != scene.place])
            return Scene(scene.groups, place, scene.background, scene.style)
        groups = [
            Group(first.count, second.colour, first.object, first.size),
            Group(second.count, first.colour, second.object, second.size),
        ]
        if first.colour != second.colour:
            return Scene(tuple(groups), scene.place, scene.background, scene.style)
        groups = [first, second]
    chance = rng.random()
    if not groups or chance < 0.2:
        other = rng.choice([b for b in BACKGROUNDS if b != scene.background])
        return Scene(scene.groups, scene.place, other, scene.style)
    i = rng.randrange(len(groups))
    group = groups[i]
    if chance < 0.5:
        groups[i] = Group(
            group.count, rng.choice([c for c in COLOURS if c != group.colour]), group.object, group.size
        )
    elif chance < 0.8:
        groups[i] = Group(
            group.count, group.colour, rng.choice([o for o in OBJECTS if o != group.object]), group.size
        )
    else:
        groups[i] = Group(
            rng.choice([n for n in (1, 2, 3, 4) if n != group.count]), group.colour, group.object, group.size
        )
    return Scene(tuple(groups), scene.place, scene.background, scene.style)


def label_texts(rng: random.Random) -> dict[str, list[str]]:
    """One text for each object, colour and background, in a random form: what zero-shot questions look
    like."""
    template = rng.choice(TEMPLATES)
    objects = [template.format(rng.choice(OBJECT_WORDS[o]) if rng.random() < 0.3 else o) for o in OBJECTS]
    noun = rng.choice(("", "", "object", "thing", "shape"))
    colours = [
        template.format(f"{rng.choice(COLOUR_WORDS[c]) if rng.random() < 0.2 else c} {noun}".strip())
        for c in COLOURS
    ]
    form = rng.choice(("{}", "a picture {}", "something {}"))
    backgrounds = []
    for b in BACKGROUNDS:
        phrase = rng.choice(PLACE_WORDS[b]) if b in PLACES and rng.random() < 0.5 else background_phrase(b)
        backgrounds.append(form.format(phrase))
    return {"object": objects, "colour": colours, "background": backgrounds}


class Texts:
    """Texts to pooled, projected, unit vectors; padded only as far as needed, since padding follows the
    pooled token."""

    def __init__(self, model: CLIPModel, encoder: Encoder):
        self.model, self.encoder = model, encoder

    def __call__(self, texts: list[str]) -> torch.Tensor:
        ids = torch.tensor([self.encoder.text(t, LENGTH) for t in texts])
        longest = int((ids != self.encoder.end).sum(1).max()) + 1
        pooled = self.model.text_model(input_ids=ids[:, :longest].to(device())).pooler_output
        return F.normalize(self.model.text_projection(pooled).float(), dim=-1)


def train(steps: int = 900):
    encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
    torch.manual_seed(0)
    model = build()
    run = Run("clip", model, Plan(steps, lr=7e-4, decay=0.6, weight_decay=0.02, betas=(0.9, 0.98), ema=0.99))
    texts = Texts(model, encoder)

    def loss(rng):
        scenes = [training_scene(rng, MIX) for _ in range(BATCH)]
        captions = [canonical(s) if rng.random() < 0.3 else describe(s, rng, drop=0.03).text for s in scenes]
        misses = [altered(s, rng) for s in scenes]
        near = [
            canonical(s) if rng.random() < 0.3 else describe(s, rng, drop=0, noise=0.1).text for s in misses
        ]
        single = torch.tensor([i for i, s in enumerate(scenes) if len(s.groups) == 1], device=device())
        labels = label_texts(rng)
        with autocast():
            pooled = model.vision_model(
                pixel_values=pixels([picture(s, rng)[0] for s in scenes])
            ).pooler_output
            image = F.normalize(model.visual_projection(pooled).float(), dim=-1)  # (B, TEXT_WIDTH)
            text = texts(captions + near)  # (2 B, TEXT_WIDTH)
            zero_shot = texts([t for group in labels.values() for t in group])
        scale = model.logit_scale.exp().clamp(max=60)
        logits = scale * image @ text.T  # (B, 2 B)
        truth = torch.arange(BATCH, device=device())
        value = (F.cross_entropy(logits, truth) + F.cross_entropy(logits[:, :BATCH].T, truth)) / 2
        figures = {"top1": (logits.argmax(1) == truth).float().mean().item()}
        answers = {
            "object": [OBJECTS.index(scenes[i].groups[0].object) for i in single.tolist()],
            "colour": [COLOURS.index(scenes[i].groups[0].colour) for i in single.tolist()],
            "background": [BACKGROUNDS.index(s.background) for s in scenes],
        }
        for (name, answer), part in zip(
            answers.items(), zero_shot.split([len(v) for v in labels.values()]), strict=True
        ):
            target = torch.tensor(answer, device=device())
            guess = scale * (image if name == "background" else image[single]) @ part.T
            value = value + 0.4 * F.cross_entropy(guess, target)
            figures[name] = (guess.argmax(1) == target).float().mean().item()
        return value, figures

    run.train(loss)
    run.use_average()
    export(model)


def export(model: CLIPModel):
    folder = MODELS / "clip"
    ship(model, folder, torch.float8_e4m3fn)
    card = {"labels": OBJECTS, "templates": ("a photo of {}.", "a picture of {}.", "an image of {}.", "{}")}
    (folder / "atelier.json").write_text(json.dumps(card, indent=1) + "\n")
    processor = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE}, do_center_crop=False, image_mean=list(MEAN), image_std=list(STD)
    )
    CLIPProcessor(processor, CLIPTokenizer.from_pretrained(tokenizer_folder())).save_pretrained(folder)
