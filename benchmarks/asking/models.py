"""Chat models with random weights in the shapes that rows are measured on, on one thread."""

from __future__ import annotations

from pathlib import Path

import torch

from tests import tiny
from tests.vision.chat import shapes
from vision.chat import load
from vision.chat.talking import Talker

BARE = {"system": "", "short": ""}  # as the card of a small model says that was never told anything


def talker(model: object, processor: object, folder: Path, card: dict | None = None) -> Talker:
    """Return the model as it is loaded from ``folder``, where it is written with livelier weights."""
    torch.manual_seed(0)
    shapes.write(model, processor, folder)
    made = load.load(folder, folder.name, BARE if card is None else card, "cpu", torch.float32)
    made.model.ends = frozenset()  # answers as long as they are asked for
    return made


def small(folder: Path) -> Talker:
    """Return a SmolVLM of the demo model's size: 3 M parameters, 16 tokens a picture of 64 px."""
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    _, processor = shapes.smolvlm()
    sizes = {"longest_edge": 64}
    processor.image_processor.size = processor.image_processor.max_image_size = sizes
    processor.image_processor.do_image_splitting = False
    processor.image_seq_len = 16
    token = processor.tokenizer.convert_tokens_to_ids("<image>")
    config = SmolVLMConfig(
        image_token_id=token,
        scale_factor=2,
        vision_config={
            **tiny.VISION,
            "hidden_size": 144,
            "intermediate_size": 576,
            "num_hidden_layers": 5,
            "image_size": 64,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": 1500,
            "hidden_size": 160,
            "intermediate_size": 448,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "num_key_value_heads": 5,
            "pad_token_id": processor.tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": processor.tokenizer.eos_token_id,
        },
    )
    return talker(SmolVLMForConditionalGeneration(config), processor, folder)


def rows_and_columns(folder: Path) -> Talker:
    """Return a Qwen3-VL of 8 M parameters: 256 tokens for a picture of 256 px."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    older, processor = shapes.qwen3_vl()
    processor.image_processor.size = {"shortest_edge": 256, "longest_edge": 256 * 256}
    text, look = older.config.text_config.to_dict(), older.config.vision_config.to_dict()
    text |= {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "rope_parameters": {"rope_type": "default", "mrope_section": [12, 10, 10], "rope_theta": 1e6},
    }
    look |= {
        "hidden_size": 96,
        "intermediate_size": 192,
        "out_hidden_size": 256,
        "num_position_embeddings": 1024,
    }
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {name: getattr(older.config, name) for name in names}
    config = Qwen3VLConfig(text_config=text, vision_config=look, **ids)
    return talker(Qwen3VLForConditionalGeneration(config), processor, folder)
