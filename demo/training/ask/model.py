"""The demo chat model: transformers' own SmolVLM class at a small size, and a lean way to run it in training.

The lean way computes what the class computes, from the class's own weights: fused projections, no caches and
no masks built anew in every layer. `tests/demo/test_ask.py` holds the two equal.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import CLIPModel, LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration

from demo.training.loop import MODELS
from demo.training.vision import GRID, PATCH, SIZE, WIDTH

KEPT = 5  # layers of the tower that come from CLIP
TOWER_LAYERS = KEPT + 3
TEXT_WIDTH = 192
TEXT_LAYERS = 6
HEADS = 6
INNER = 512
SHUFFLE = 2  # patches a side that one token of a picture covers
TOKENS = (GRID // SHUFFLE) ** 2  # of a picture


def build(tokenizer, from_clip: bool = True) -> SmolVLMForConditionalGeneration:
    """Returns the untrained model; its tower begins as the shipped CLIP's."""
    vision = dict(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=TOWER_LAYERS,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = SmolVLMForConditionalGeneration(
        SmolVLMConfig(
            vision_config=vision,
            text_config=text.to_dict(),
            scale_factor=SHUFFLE,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    if from_clip:
        _start_tower(model.model.vision_model)
    return model


@torch.no_grad()
def _start_tower(tower: nn.Module):
    """Copies CLIP's tower, less its class token; the layers that it lacks begin as doing nothing."""
    source = CLIPModel.from_pretrained(MODELS / "clip", dtype=torch.float32).vision_model.state_dict()
    state = {
        name: value[1:] if name.endswith("position_embedding.weight") else value
        for name, value in source.items()
        if "pre_layrnorm" not in name and "class_embedding" not in name
    }
    state["embeddings.patch_embedding.bias"] = torch.zeros(WIDTH)
    missing, unexpected = tower.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    for layer in tower.encoder.layers[KEPT:]:
        for part in (layer.self_attn.out_proj, layer.mlp.fc2):
            part.weight.mul_(0.05)
            part.bias.zero_()


def _fused(*parts: nn.Linear):
    weight = torch.cat([part.weight for part in parts])
    return weight, None if parts[0].bias is None else torch.cat([part.bias for part in parts])


def _attend(q, k, v, mask=None):
    """Attention in plain products: on a CPU in bfloat16 three times as fast as the fused kernel."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    return scores.softmax(-1, dtype=scores.dtype) @ v


def see(tower: nn.Module, pixels: torch.Tensor, kept: bool = False) -> torch.Tensor:
    """(B, 3, SIZE, SIZE) in -1 to 1 → (B, GRID * GRID, WIDTH): what the tower makes of square pictures.

    `kept`: the layers that come from CLIP stay as they are, and no gradient is computed for them."""
    with torch.set_grad_enabled(torch.is_grad_enabled() and not kept):
        x = _cells(tower.embeddings, pixels)
        for layer in tower.encoder.layers[:KEPT]:
            x = _look(layer, x)
    for layer in tower.encoder.layers[KEPT:]:
        x = _look(layer, x)
    return tower.post_layernorm(x)


def _cells(embeddings, pixels):
    """The patches' embeddings."""
    batch = len(pixels)
    cells = pixels.view(batch, 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5)
    cells = cells.reshape(batch, GRID**2, -1)
    x = F.linear(cells, embeddings.patch_embedding.weight.flatten(1), embeddings.patch_embedding.bias)
    return x + embeddings.position_embedding.weight


def _look(layer, x):
    """One layer of the tower."""
    batch, cells, width = x.shape
    attention = layer.self_attn
    y = F.linear(layer.layer_norm1(x), *_fused(attention.q_proj, attention.k_proj, attention.v_proj))
    heads = attention.num_heads
    q, k, v = y.view(batch, cells, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    x = x + attention.out_proj(_attend(q, k, v).transpose(1, 2).reshape(batch, cells, width))
    return x + layer.mlp.fc2(F.gelu(layer.mlp.fc1(layer.layer_norm2(x)), approximate="none"))


def connect(model: SmolVLMForConditionalGeneration, seen: torch.Tensor) -> torch.Tensor:
    """(B, GRID * GRID, WIDTH) → (B, TOKENS, TEXT_WIDTH): the tokens of each picture."""
    return model.model.connector(seen)


def _normed(x, norm):
    y = x.float()
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return (y * norm.weight).to(x.dtype)


def _turned(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def read(text: nn.Module, x: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
    """(B, L, TEXT_WIDTH) embeddings, padded behind → as many, normed: every token sees those before. With
    `wanted` (B, L) only what comes of those tokens, (tokens, TEXT_WIDTH)."""
    batch, length, _ = x.shape
    size = TEXT_WIDTH // HEADS
    later = torch.full((length, length), float("-inf")).triu(1)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * text.rotary_emb.inv_freq.float()[None]
    angles = torch.cat((angles, angles), -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    for layer in text.layers:
        attention, mlp = layer.self_attn, layer.mlp
        y = F.linear(
            _normed(x, layer.input_layernorm), *_fused(attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k, v = y.view(batch, length, 3, HEADS, size).permute(2, 0, 3, 1, 4)
        q, k = _turned(q, cos.to(q.dtype), sin.to(q.dtype)), _turned(k, cos.to(q.dtype), sin.to(q.dtype))
        y = _attend(q, k, v, later)
        y = y.transpose(1, 2).reshape(batch, length, TEXT_WIDTH)
        if wanted is not None and layer is text.layers[-1]:
            x, y = x[wanted], y[wanted]
        x = x + attention.o_proj(y)
        y = F.linear(_normed(x, layer.post_attention_layernorm), *_fused(mlp.gate_proj, mlp.up_proj))
        gate, up = y.chunk(2, -1)
        x = x + mlp.down_proj(F.silu(gate) * up)
    return _normed(x, text.norm)
