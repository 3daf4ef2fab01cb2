"""Trains the readers: the image tower that the others start from (what does each patch show?), CLIP (the
tower and the dense text encoder, brought together by contrast), the captioner (BLIP on the tower, half
canonical sentences, half free ones), the classifier (a ViT on the tower that names the main object), and the
segmenter.

The segmenter, a UPerNet (arXiv:1807.10221) over a ResNet, tells for every pixel which object it shows. It
sees whole pictures and parts around one object, since it looks twice: for objects, then at each more closely.
"""

import json
import random
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from PIL import Image, ImageFilter
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    ResNetConfig,
    SegformerImageProcessor,
    UperNetConfig,
    UperNetForSemanticSegmentation,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from demo.drawing import Placed, draw, draw_apart, layout, patches
from demo.train.loop import PACK, WORK, Plan, Run, autocast, device, grown, shard, ship, to_pictures
from demo.train.text import CAPTIONED, tokenizer_folder
from demo.train.text import WIDTH as TEXT_WIDTH
from demo.world import (
    BACKGROUNDS,
    COLOUR_WORDS,
    COLOURS,
    DECODE,
    OBJECT_WORDS,
    OBJECTS,
    PLACE_WORDS,
    PLACES,
    RELATIONS,
    STYLES,
    Encoder,
    Group,
    Scene,
    background_phrase,
    build_bert,
    canonical,
    describe,
    training_scene,
)
from demo.world import LENGTH as VOCABULARY_LENGTH

SIZE = 64  # px
PATCH = 8  # px
GRID = SIZE // PATCH
WIDTH = 144
VISION_BATCH = 96
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
EASY = {"large": 0.6, "single": 0.4}
VISION_MIX = {"large": 0.15, "single": 0.4, "several": 0.15, "pair": 0.26, "empty": 0.04}
# Asked of the whole picture: its groups from top left on, their counts, the background and the style.
SLOT = (len(OBJECTS) + 1, len(COLOURS) + 1, 5)
SUMMARY = SLOT + SLOT + (len(BACKGROUNDS), len(STYLES))


def config() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        hidden_act="gelu",
    )


def picture(scene: Scene, rng: random.Random) -> tuple[np.ndarray, list[Placed]]:
    """(SIZE, SIZE, 3) uint8 as the processors see a picture, at times blurred or noisy as generated ones
    are."""
    placed = layout(scene, rng)
    image = draw(scene, rng, placed=placed)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    a = np.asarray(image.resize((SIZE, SIZE), rng.choice((Image.BOX, Image.BICUBIC)))).astype(np.float32)
    if rng.random() < 0.3:
        a = a + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(1, 8), a.shape)
    return a.clip(0, 255).astype(np.uint8), placed


def pixels(pictures: list[np.ndarray]) -> torch.Tensor:
    """(B, 3, SIZE, SIZE) float32 in -1 to 1."""
    return torch.from_numpy(np.stack(pictures)).to(device()).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def spatial(scene: Scene):
    """The groups from top left on."""
    return (
        scene.groups[::-1] if scene.place in ("below", "right") and len(scene.groups) == 2 else scene.groups
    )


def summary_labels(scene: Scene) -> list[int]:
    labels = [v for g in spatial(scene) for v in (OBJECTS.index(g.object), COLOURS.index(g.colour), g.count)]
    labels += [len(OBJECTS), len(COLOURS), 0] * (2 - len(scene.groups))
    return labels + [BACKGROUNDS.index(scene.background), STYLES.index(scene.style)]


def patch_labels(placed: list[Placed]) -> tuple[np.ndarray, np.ndarray]:
    """Object and colour of each patch, row by row: two (GRID * GRID,) int64, the last class where there is
    none."""
    objects = np.array([OBJECTS.index(p.object) for p in placed] + [len(OBJECTS)])
    colours = np.array([COLOURS.index(p.colour) for p in placed] + [len(COLOURS)])
    owner = patches(placed, GRID, GRID).ravel()
    return objects[owner], colours[owner]


class DenseVision(nn.Module):
    """The tower and the heads that are thrown away after training."""

    def __init__(self, tower: CLIPVisionModel):
        super().__init__()
        self.tower = tower
        self.objects = nn.Linear(WIDTH, len(OBJECTS) + 1)
        self.colours = nn.Linear(WIDTH, len(COLOURS) + 1)
        self.summary = nn.Linear(WIDTH, sum(SUMMARY))

    def losses(self, hidden, pooled, objects, colours, summary):
        """`hidden` (B, GRID * GRID, WIDTH), `pooled` (B, WIDTH), patch labels (B, GRID * GRID), `summary` (B,
        8)."""
        weight = torch.where(objects < len(OBJECTS), 1.0, 0.25).flatten()
        dense = F.cross_entropy(
            self.objects(hidden).float().flatten(0, 1), objects.flatten(), reduction="none"
        )
        dense = dense + 0.5 * F.cross_entropy(
            self.colours(hidden).float().flatten(0, 1), colours.flatten(), reduction="none"
        )
        parts = self.summary(pooled).float().split(SUMMARY, -1)
        whole = sum(F.cross_entropy(part, target) for part, target in zip(parts, summary.T, strict=True))
        hits = {
            name: (parts[i].argmax(-1) == summary[:, i]).float().mean().item()
            for name, i in {"object": 0, "colour": 1, "background": 6, "style": 7}.items()
        }
        return (dense * weight).sum() / weight.sum() + 0.3 * whole, hits


@torch.no_grad()
def whiten(tower: CLIPVisionModel):
    """Starts the patch embedding at the whitened principal components of drawn patches.

    Their variances differ by four orders of magnitude: a plain start hardly sees edges.
    """
    rng = random.Random("whitening")
    x = pixels([picture(training_scene(rng, VISION_MIX, held_pairs=True), rng)[0] for _ in range(1500)])
    x = (
        x.unfold(2, PATCH, PATCH)
        .unfold(3, PATCH, PATCH)
        .permute(0, 2, 3, 1, 4, 5)
        .reshape(-1, 3 * PATCH * PATCH)
    )
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    basis = (vectors / (values + 1e-3).sqrt()).flip(1).T[:WIDTH]
    embeddings = tower.vision_model.embeddings if hasattr(tower, "vision_model") else tower.embeddings
    embeddings.patch_embedding.weight.copy_(0.5 * basis.view(WIDTH, 3, PATCH, PATCH))
    embeddings.position_embedding.weight.normal_(0, 0.2)


def vision_train(steps: int = 1800):
    torch.manual_seed(0)
    tower = CLIPVisionModel(config()).to(device())
    whiten(tower)
    model = DenseVision(tower)
    run = Run(
        "vision", model.to(device()), Plan(steps, lr=1.2e-3, weight_decay=0.02, betas=(0.9, 0.98), ema=0.995)
    )
    norm = (tower.vision_model if hasattr(tower, "vision_model") else tower).post_layernorm

    def loss(rng):
        hard = min(1.0, max(0.0, run.step / steps - 0.15) / 0.35)  # from easy to hard pictures
        mix = {kind: (1 - hard) * EASY.get(kind, 0) + hard * VISION_MIX[kind] for kind in VISION_MIX}
        scenes = [training_scene(rng, mix, held_pairs=True) for _ in range(VISION_BATCH)]
        drawn = [picture(scene, rng) for scene in scenes]
        labels = [patch_labels(placed) for _, placed in drawn]
        objects, colours = (
            torch.from_numpy(np.stack(part)).to(device()) for part in zip(*labels, strict=True)
        )
        summary = torch.tensor([summary_labels(scene) for scene in scenes], device=device())
        with autocast():
            out = tower(pixel_values=pixels([p for p, _ in drawn]))
            return model.losses(
                norm(out.last_hidden_state[:, 1:]), out.pooler_output, objects, colours, summary
            )

    run.train(loss)
    run.use_average()
    tower.save_pretrained(WORK / "vision")


BATCH = 64
LENGTH = 40  # tokens
CANONICAL = 0.6  # share of canonical sentences: enough for greedy decoding to give one
PREFIXES = ("", "a picture of", "an illustration of", "a drawing of")  # how a caption may be asked to begin
ADAM = {"weight_decay": 0.02, "betas": (0.9, 0.98)}
MIX = {"large": 0.2, "single": 0.52, "several": 0.1, "pair": 0.16, "empty": 0.02}


def build(tokenizer: BertTokenizer) -> BlipForConditionalGeneration:
    start, end = tokenizer.convert_tokens_to_ids(DECODE), tokenizer.sep_token_id
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "encoder_hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "projection_dim": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "bos_token_id": start,
        "eos_token_id": end,
        "sep_token_id": end,
        "pad_token_id": tokenizer.pad_token_id,
        "is_decoder": True,
        "use_cache": True,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "label_smoothing": 0.0,
    }
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "projection_dim": 128,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": SIZE,
        "patch_size": PATCH,
        "hidden_act": "gelu",
    }
    model = BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=vision, projection_dim=128, image_text_hidden_size=128)
    )
    return model.to(device())


def tower_state(tower: CLIPVisionModel) -> dict[str, torch.Tensor]:
    return {key.removeprefix("vision_model."): value for key, value in tower.state_dict().items()}


def blip_tower(tower: CLIPVisionModel) -> dict[str, torch.Tensor]:
    """CLIP's vision weights under BLIP's names. BLIP has no norm before the first layer; training makes up
    for it."""
    state = tower_state(tower)
    renamed = {}
    for key, value in state.items():
        if "q_proj" in key:
            renamed[key.replace("q_proj", "qkv")] = torch.cat(
                [state[key.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            )
        elif "k_proj" not in key and "v_proj" not in key and "pre_layrnorm" not in key:
            renamed[key.replace("out_proj", "projection")] = value
    renamed["embeddings.patch_embedding.bias"] = torch.zeros(WIDTH)
    renamed["embeddings.position_embedding"] = renamed.pop("embeddings.position_embedding.weight")[None]
    renamed["embeddings.class_embedding"] = renamed["embeddings.class_embedding"].view(1, 1, -1)
    return renamed


def sentence(scene: Scene, rng: random.Random) -> str:
    return canonical(scene) if rng.random() < CANONICAL else describe(scene, rng, noise=0, drop=0).text


def train(steps: int = 2700):
    """Trains the captioner, whose tower begins as that of `vision_train`."""
    torch.manual_seed(0)
    tokenizer = build_bert(PACK / "captioner")
    model = build(tokenizer).train()
    model.vision_model.load_state_dict(blip_tower(CLIPVisionModel.from_pretrained(WORK / "vision").float()))
    run = Run("captioner", model, Plan(steps, lr=1e-3, ema=0.995, decay=0.7, **ADAM))
    start = tokenizer.convert_tokens_to_ids(DECODE)

    def loss(rng):
        scenes = [training_scene(rng, MIX, held_pairs=True) for _ in range(BATCH)]
        texts = [sentence(scene, rng) for scene in scenes]
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt").to(
            device()
        )
        ids = tokens.input_ids.clone()  # (B, L)
        ids[:, 0] = start
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)
        labels[:, 0] = -100
        with autocast():
            out = model(
                pixel_values=pixels([picture(scene, rng)[0] for scene in scenes]),
                input_ids=ids,
                attention_mask=tokens.attention_mask,
                labels=labels,
            )
        return out.loss.float().mean(), {}

    run.train(loss)
    run.use_average()
    export(model.eval(), tokenizer)


def export(model: BlipForConditionalGeneration, tokenizer: BertTokenizer):
    folder = PACK / "captioner"
    ship(model, folder)
    (folder / "atelier.json").write_text(
        json.dumps({"prefixes": PREFIXES, "max_new_tokens": LENGTH}, indent=1) + "\n"
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    processor = BlipImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=list(MEAN), image_std=list(STD)
    )
    BlipProcessor(processor, tokenizer).save_pretrained(folder)


CLIP_BATCH = 112
CLIP_MIX = {"large": 0.15, "single": 0.42, "several": 0.13, "pair": 0.26, "empty": 0.04}
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


def clip_build() -> CLIPModel:
    text = CLIPTextModel.from_pretrained(CAPTIONED).float()
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
        ids = torch.tensor([self.encoder.text(t, VOCABULARY_LENGTH) for t in texts])
        longest = int((ids != self.encoder.end).sum(1).max()) + 1
        pooled = self.model.text_model(input_ids=ids[:, :longest].to(device())).pooler_output
        return F.normalize(self.model.text_projection(pooled).float(), dim=-1)


def clip_train(steps: int = 900):
    encoder = Encoder(CLIPTokenizer.from_pretrained(tokenizer_folder()))
    torch.manual_seed(0)
    model = clip_build()
    run = Run("clip", model, Plan(steps, lr=7e-4, decay=0.6, weight_decay=0.02, betas=(0.9, 0.98), ema=0.99))
    texts = Texts(model, encoder)

    def loss(rng):
        scenes = [training_scene(rng, CLIP_MIX) for _ in range(CLIP_BATCH)]
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
        truth = torch.arange(CLIP_BATCH, device=device())
        value = (F.cross_entropy(logits, truth) + F.cross_entropy(logits[:, :CLIP_BATCH].T, truth)) / 2
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
    clip_export(model)


def clip_export(model: CLIPModel):
    folder = PACK / "clip"
    ship(model, folder, torch.float8_e4m3fn)
    card = {"labels": OBJECTS, "templates": ("a photo of {}.", "a picture of {}.", "an image of {}.", "{}")}
    (folder / "atelier.json").write_text(json.dumps(card, indent=1) + "\n")
    processor = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE}, do_center_crop=False, image_mean=list(MEAN), image_std=list(STD)
    )
    CLIPProcessor(processor, CLIPTokenizer.from_pretrained(tokenizer_folder())).save_pretrained(folder)


VIT_BATCH = 96
VIT_MIX = {"large": 0.2, "single": 0.6, "several": 0.1, "pair": 0.1}


def vit_build() -> ViTForImageClassification:
    config = ViTConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
        id2label=dict(enumerate(OBJECTS)),
        label2id={name: i for i, name in enumerate(OBJECTS)},
    )
    model = ViTForImageClassification(config)
    model.vit.load_state_dict(vit_tower(CLIPVisionModel.from_pretrained(WORK / "vision").float()))
    return model.to(device())


def vit_tower(tower: CLIPVisionModel) -> dict[str, torch.Tensor]:
    """CLIP's vision weights under ViT's names. ViT has no norm before the first layer; training makes up for
    it."""
    names = (
        ("embeddings.class_embedding", "embeddings.cls_token"),
        ("embeddings.position_embedding.weight", "embeddings.position_embeddings"),
        ("embeddings.patch_embedding", "embeddings.patch_embeddings.projection"),
        ("encoder.layers", "layers"),
        ("self_attn.out_proj", "attention.o_proj"),
        ("self_attn", "attention"),
        ("layer_norm1", "layernorm_before"),
        ("layer_norm2", "layernorm_after"),
        ("post_layernorm", "layernorm"),
    )
    renamed = {}
    for key, value in tower_state(tower).items():
        for old, new in names:
            key = key.replace(old, new)
        if "pre_layrnorm" not in key:
            renamed[key] = value
    renamed["embeddings.patch_embeddings.projection.bias"] = torch.zeros(WIDTH)
    renamed["embeddings.cls_token"] = renamed["embeddings.cls_token"].view(1, 1, -1)
    renamed["embeddings.position_embeddings"] = renamed["embeddings.position_embeddings"][None]
    return renamed


def vit_train(steps: int = 500):
    torch.manual_seed(0)
    model = vit_build()
    run = Run(
        "vit",
        model,
        Plan(steps, lr=8e-4, warmup=50, decay=0.7, weight_decay=0.02, betas=(0.9, 0.98), ema=0.98),
    )
    model.train()

    def loss(rng):
        scenes = [training_scene(rng, VIT_MIX, held_pairs=True) for _ in range(VIT_BATCH)]
        truth = torch.zeros(VIT_BATCH, len(OBJECTS))
        for row, scene in zip(truth, scenes, strict=True):
            for group in scene.groups:
                row[OBJECTS.index(group.object)] += 1 / len(scene.groups)
        truth = truth.to(device())
        with autocast():
            logits = model(pixel_values=pixels([picture(scene, rng)[0] for scene in scenes])).logits.float()
        return F.cross_entropy(logits, truth), {
            "top1": (logits.argmax(1) == truth.argmax(1)).float().mean().item()
        }

    run.train(loss)
    run.use_average()
    folder = PACK / "vit"
    ship(model, folder, torch.float8_e4m3fn)
    ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)


SEGMENTER_SIZE = 256  # px that it sees, of a whole picture or of a part
FINE = 64  # cells along a side of what its head answers; it enlarges them to SIZE itself
DRAWN = (256, 256, 512)  # px, at one of which a scene is drawn and a part of it is cut out
CODED_SIZE = 128  # px, the native size of the image model
SEGMENTER_BATCH = 24
CODED, SHARDS = 20, 150  # scenes of a shard that goes through the autoencoder
EVERY = 7  # steps between two new shards
SEGMENTER_MIX = {"large": 0.15, "single": 0.35, "several": 0.2, "pair": 0.25, "empty": 0.05}
STYLE_MIX = (0.4, 0.2, 0.2, 0.2)  # of STYLES; line drawings and washes are harder than their share
GROUND = len(OBJECTS)  # the class of what is no thing


def segmenter_config() -> UperNetConfig:
    labels = dict(enumerate((*OBJECTS, "ground")))
    stages = ["stage1", "stage2", "stage3", "stage4"]
    resnet = ResNetConfig(
        embedding_size=24,
        hidden_sizes=[32, 64, 96, 128],
        depths=[1, 2, 2, 2],
        layer_type="basic",
        out_features=stages,
    )
    return UperNetConfig(
        backbone_config=resnet,
        hidden_size=40,
        pool_scales=[1, 2, 4],
        use_auxiliary_head=False,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )


def styled_scene(rng: random.Random) -> Scene:
    """A scene for training whose style is drawn by STYLE_MIX."""
    style = rng.choices(STYLES, STYLE_MIX)[0]
    while True:
        scene = training_scene(rng, SEGMENTER_MIX, held_pairs=True)
        if scene.style == style:
            return scene


def drawn(rng: random.Random, side: int) -> tuple[Image.Image, np.ndarray]:
    """A picture of `side` px, and the class of each of its pixels: (side, side) uint8."""
    scene, size = styled_scene(rng), (side, side)
    placed = layout(scene, rng, size)
    picture, owner = draw_apart(scene, rng, size, placed)
    classes = np.array([OBJECTS.index(thing.object) for thing in placed] + [GROUND], np.uint8)
    return picture, classes[owner]


@torch.no_grad()
def _coded(index: int, vae: AutoencoderTiny) -> dict[str, np.ndarray]:
    """What the autoencoder makes of drawn scenes, with noise on their latents: as soft and uneven as the
    pictures that the image model draws. Their `pictures` and `classes`."""
    rng, lot = random.Random(f"segmenter pictures {index}"), torch.Generator().manual_seed(index)
    some = [drawn(rng, min(DRAWN)) for _ in range(CODED)]
    small = [np.asarray(picture.resize((CODED_SIZE, CODED_SIZE), Image.BOX)) for picture, _ in some]
    latents = vae.encode(pixels(small)).latents
    noise = torch.randn(latents.shape, generator=lot) * torch.rand(CODED, 1, 1, 1, generator=lot) * 0.3
    pictures = to_pictures(vae.decode(latents + noise.to(device())).sample)
    return {"pictures": pictures, "classes": np.stack([each for _, each in some])}


def part_of(classes: np.ndarray, rng: random.Random) -> tuple[float, float, float, float]:
    """A box (left, top, right, bottom; shares of the side) around one thing with some of what surrounds it,
    or all of the picture."""
    shown = np.unique(classes[classes != GROUND])
    if not len(shown) or rng.random() < 0.4:
        return (0.0, 0.0, 1.0, 1.0)
    ys, xs = np.nonzero(classes == rng.choice(shown.tolist()))
    side = len(classes)
    reach = min(1.0, max(np.ptp(xs), np.ptp(ys)) / side * rng.uniform(1.15, 2.5))
    left, top = (
        min(max(0.0, middle / side - reach / 2 + rng.uniform(-0.1, 0.1) * reach), 1 - reach)
        for middle in ((xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2)
    )
    return (left, top, left + reach, top + reach)


def sample(rng: random.Random, made: list[dict[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees, (SIZE, SIZE, 3) uint8, and the share of each class in each cell of its answer,
    (classes, FINE, FINE) float32. made: shards of `_coded`."""
    if rng.random() < 0.4:
        coded, index = rng.choice(made), rng.randrange(CODED)
        picture, classes = Image.fromarray(coded["pictures"][index]), coded["classes"][index]
    else:
        picture, classes = drawn(rng, rng.choice(DRAWN))
        if rng.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3.0)))
    part = part_of(classes, rng)
    box = [share * picture.width for share in part]
    shown = picture.resize((SEGMENTER_SIZE, SEGMENTER_SIZE), rng.choice((Image.BOX, Image.BICUBIC)), box)
    a = np.asarray(shown).astype(np.float32)
    if rng.random() < 0.3:
        a = a + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(1, 8), a.shape)
    shares = np.zeros((GROUND + 1, FINE, FINE), np.float32)
    box = [share * len(classes) for share in part]
    for each in np.unique(classes):
        mask = Image.fromarray((classes == each).astype(np.uint8) * 255)
        shares[each] = np.asarray(mask.resize((FINE, FINE), Image.BOX, box), np.float32) / 255
    return a.clip(0, 255).astype(np.uint8), shares


def train_segmenter(steps: int = 1100):
    torch.manual_seed(0)
    vae = AutoencoderTiny.from_pretrained(WORK / "vae", torch_dtype=torch.float32).to(device())
    made: list[dict[str, np.ndarray]] = []
    model = UperNetForSemanticSegmentation(segmenter_config()).to(device())
    plan = Plan(steps, lr=2e-3, warmup=50, decay=0.5, weight_decay=0.01, betas=(0.9, 0.99), ema=0.99)
    run = Run("segmenter", model, plan)
    model.train()

    def loss(rng):
        for index in range(len(made), grown(run.step, EVERY, SHARDS)):
            made.append(shard(WORK / "segmenter" / f"{index:04d}.npz", partial(_coded, index, vae)))
        seen, shares = zip(*(sample(rng, made) for _ in range(SEGMENTER_BATCH)), strict=True)
        truth = torch.from_numpy(np.stack(shares)).to(device())
        with autocast():
            features = model.backbone.forward_with_filtered_kwargs(pixels(list(seen))).feature_maps
            logits = model.decode_head(features).float()  # (B, classes, FINE, FINE)
        ground = truth[:, GROUND]
        edge = F.max_pool2d(ground, 3, 1, 1) + F.max_pool2d(-ground, 3, 1, 1)  # above 0 where both are near
        weight = 1 + 2 * edge
        value = (F.cross_entropy(logits, truth, reduction="none") * weight).sum() / weight.sum()
        with torch.no_grad():
            thing, found = ground < 0.5, logits.softmax(1)[:, GROUND] < 0.5
            iou = (thing & found).sum() / (thing | found).sum()
            named = logits[:, :GROUND].argmax(1)[thing] == truth[:, :GROUND].argmax(1)[thing]
        return value, {"iou": iou.item(), "named": named.float().mean().item()}

    run.train(loss)
    run.use_average()
    folder = PACK / "segmenter"
    ship(model, folder)
    SegformerImageProcessor(
        size={"height": SEGMENTER_SIZE, "width": SEGMENTER_SIZE},
        image_mean=list(MEAN),
        image_std=list(STD),
        do_reduce_labels=False,
    ).save_pretrained(folder)
