"""Trains the captioner: BLIP on the dense image tower, half canonical sentences, half free ones."""

import json
import random
from functools import partial

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPVisionModel,
)

from demo.captions import canonical, describe
from demo.training.loop import MODELS, WORK, Plan, Run, autocast, device, ship, trained_weights
from demo.training.vision import MEAN, PATCH, SIZE, STD, WIDTH, picture, pixels
from demo.vocabulary import DECODE, build_bert
from demo.world import Scene, training_scene

BATCH = 64
LENGTH = 40  # tokens
CANONICAL = 0.6  # share of canonical sentences: enough for greedy decoding to give one
PREFIXES = ("", "a picture of", "an illustration of", "a drawing of")  # how a caption may be asked to begin
ADAM = {"weight_decay": 0.02, "betas": (0.9, 0.98)}
REFINE = {"large": 0.2, "single": 0.52, "several": 0.1, "pair": 0.16, "empty": 0.02}
MIX = {"large": 0.15, "single": 0.42, "several": 0.14, "pair": 0.26, "empty": 0.03}


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


def train(steps: int = 1100):
    torch.manual_seed(0)
    tokenizer = build_bert(MODELS / "captioner")
    model = build(tokenizer)
    model.vision_model.load_state_dict(blip_tower(CLIPVisionModel.from_pretrained(WORK / "vision").float()))
    _train(Run("captioner", model, Plan(steps, lr=1e-3, ema=0.99, decay=0.6, **ADAM)), tokenizer, MIX)


def refine(steps: int = 1500):
    """Goes on from the end of `train` with more single objects; where its checkpoint is gone, from the
    shipped pack."""
    tokenizer = build_bert(MODELS / "captioner")
    model = build(tokenizer)
    run = Run("captioner_refine", model, Plan(steps, lr=5e-4, ema=0.995, decay=0.8, **ADAM))
    if run.step == 0:
        run.start_from(
            trained_weights(
                "captioner",
                partial(
                    BlipForConditionalGeneration.from_pretrained, MODELS / "captioner", dtype=torch.float32
                ),
            )
        )
    _train(run, tokenizer, REFINE)


def _train(run: Run, tokenizer: BertTokenizer, mix: dict[str, float]):
    start = tokenizer.convert_tokens_to_ids(DECODE)
    model = run.model.train()

    def loss(rng):
        scenes = [training_scene(rng, mix, held_pairs=True) for _ in range(BATCH)]
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
    folder = MODELS / "captioner"
    ship(model, folder)
    (folder / "atelier.json").write_text(
        json.dumps({"prefixes": PREFIXES, "max_new_tokens": LENGTH}, indent=1) + "\n"
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    processor = BlipImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=list(MEAN), image_std=list(STD)
    )
    BlipProcessor(processor, tokenizer).save_pretrained(folder)
