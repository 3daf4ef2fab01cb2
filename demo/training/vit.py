"""Trains the classifier: a ViT on the dense image tower that names the main object."""

import torch
import torch.nn.functional as F
from transformers import CLIPVisionModel, ViTConfig, ViTForImageClassification, ViTImageProcessor

from demo.training.captioner import tower_state
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship
from demo.training.vision import MEAN, PATCH, SIZE, STD, WIDTH, picture, pixels
from demo.world import OBJECTS, training_scene

BATCH = 96
MIX = {"large": 0.2, "single": 0.6, "several": 0.1, "pair": 0.1}


def build() -> ViTForImageClassification:
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


def train(steps: int = 500):
    torch.manual_seed(0)
    model = build()
    run = Run(
        "vit",
        model,
        Plan(steps, lr=8e-4, warmup=50, decay=0.7, weight_decay=0.02, betas=(0.9, 0.98), ema=0.98),
    )
    model.train()

    def loss(rng):
        scenes = [training_scene(rng, MIX, held_pairs=True) for _ in range(BATCH)]
        truth = torch.zeros(BATCH, len(OBJECTS))
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
    folder = MODELS / "vit"
    ship(model, folder, torch.float8_e4m3fn)
    ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)
