"""Trains the image tower that CLIP, the captioner and the classifier start from: what does each patch
show?"""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageFilter
from transformers import CLIPVisionConfig, CLIPVisionModel

from demo.drawing import Placed, draw, layout, patches
from demo.training.loop import WORK, Plan, Run, autocast, device
from demo.world import BACKGROUNDS, COLOURS, OBJECTS, STYLES, Scene, training_scene

SIZE = 64  # px
PATCH = 8  # px
GRID = SIZE // PATCH
WIDTH = 144
BATCH = 96
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
EASY = {"large": 0.6, "single": 0.4}
MIX = {"large": 0.15, "single": 0.4, "several": 0.15, "pair": 0.26, "empty": 0.04}
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
    x = pixels([picture(training_scene(rng, MIX, held_pairs=True), rng)[0] for _ in range(1500)])
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


def train(steps: int = 1800):
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
        mix = {kind: (1 - hard) * EASY.get(kind, 0) + hard * MIX[kind] for kind in MIX}
        scenes = [training_scene(rng, mix, held_pairs=True) for _ in range(BATCH)]
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
