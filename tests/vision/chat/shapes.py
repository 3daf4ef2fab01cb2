"""Tiny chat models of several families, with seeded random weights that say something else for each
prompt."""

from collections.abc import Callable
from pathlib import Path

import torch

from tests.support import tiny
from vision.chat import talker
from vision.chat.talker import Talker

CHAT = (  # Gemma's: no system's turn of its own
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<start_of_image>{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n"
    "{% endif %}"
)
QWEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_THINKS = (  # Qwen3.5's: thoughts begin unless they are switched off, and earlier answers have none
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.index0 > ns.last %}<think>\n\n</think>\n\n{% endif %}"
    "{% for c in m.content %}{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and "
    "enable_thinking is false %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}"
)
SMOL = (  # SmolVLM's own, from transformers.models.smolvlm.processing_smolvlm
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
LLAVA = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'][0]['text'] }} {% else %}"
    "{{ m['role'] | upper }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n{% else %}"
    "{{ c['text'] }}{% endif %}{% endfor %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def smolvlm():
    """A picture as tiles."""
    model, processor = tiny.smolvlm()
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    processor.chat_template = SMOL
    return _with_room(model, processor)


def llava():
    """A picture as a row of patches, always of the same size."""
    model, processor = tiny.llava()
    processor.chat_template = LLAVA
    return model, processor


def qwen3_vl():
    """Positions in rows and columns."""
    model, processor = tiny.qwen3_vl()
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    processor.chat_template = QWEN
    return _with_room(model, processor)


def qwen3_5():
    """Layers with a state of one size, three in four, and a template with thoughts."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3_5Config,
        Qwen3_5ForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = tiny.bpe_tokenizer(*marks, "<|im_start|>", "<|im_end|>")
    start, end, image, video = map(tokenizer.convert_tokens_to_ids, marks)
    text = {
        **tiny.QWEN,
        "num_hidden_layers": 4,
        "head_dim": 8,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "vocab_size": len(tokenizer) + 4,
        "rope_parameters": {**tiny.ROPE, "partial_rotary_factor": 1.0, "mrope_interleaved": True},
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    look = {"depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 8}
    config = Qwen3_5Config(
        text_config=text,
        vision_config={**look, "out_hidden_size": 16, "num_position_embeddings": 16},
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    patches = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    room = {"size": {"shortest_edge": 256, "longest_edge": 4096}}
    return Qwen3_5ForConditionalGeneration(config), Qwen3VLProcessor(
        Qwen2VLImageProcessor(**patches, **room),
        tokenizer,
        Qwen3VLVideoProcessor(**patches, **room),
        chat_template=QWEN_THINKS,
    )


def lfm2_vl():
    """Layers with the last columns before a convolution as their only state."""
    from transformers import (
        Lfm2VlConfig,
        Lfm2VlForConditionalGeneration,
        Lfm2VlImageProcessor,
        Lfm2VlProcessor,
    )

    marks = {"image": "<image>", "image_start": "<|image_start|>", "image_end": "<|image_end|>"}
    marks["image_thumbnail"] = "<|img_thumbnail|>"
    tokenizer = tiny.bpe_tokenizer(*marks.values(), "<|im_start|>", "<|im_end|>")
    for name, token in marks.items():
        tokenizer.init_kwargs[f"{name}_token"] = token
        setattr(tokenizer, f"{name}_token", token)
        setattr(tokenizer, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
    text = {
        "model_type": "lfm2",
        "vocab_size": len(tokenizer) + 2,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "layer_types": ["conv", "conv", "full_attention", "conv"],
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    look = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Lfm2VlConfig(
        text_config=text,
        vision_config={"model_type": "siglip2_vision_model", **look, "num_patches": 256, "patch_size": 16},
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=16,
    )
    room = {"min_image_tokens": 4, "max_image_tokens": 16, "tile_size": 64, "max_num_patches": 64}
    processor = Lfm2VlImageProcessor(do_image_splitting=False, encoder_patch_size=16, **room)
    template = QWEN.replace("<|vision_start|><|image_pad|><|vision_end|>", "<image>")
    return Lfm2VlForConditionalGeneration(config), Lfm2VlProcessor(
        processor, tokenizer, chat_template=template
    )


def gemma3():
    """Layers that look back 24 tokens only, and pictures whose tokens look at each other."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    marks = {"boi": "<start_of_image>", "eoi": "<end_of_image>", "image": "<image_soft_token>"}
    tokenizer = tiny.bpe_tokenizer("<bos>", "<start_of_turn>", "<end_of_turn>", *marks.values())
    tokenizer.bos_token = "<bos>"
    for name, token in marks.items():
        tokenizer.init_kwargs[f"{name}_token"] = token
        setattr(tokenizer, f"{name}_token", token)
        setattr(tokenizer, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer) + 2,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=24,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    config = Gemma3Config(
        text_config=text,
        vision_config=SiglipVisionConfig(**tiny.VISION),
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        mm_tokens_per_image=4,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        tokenizer,
        chat_template=CHAT,
        image_seq_length=4,
    )
    return Gemma3ForConditionalGeneration(config), processor


def idefics():
    """The first Idefics: a resampler, gated cross-attention, no chat template."""
    from transformers import IdeficsConfig, IdeficsForVisionText2Text, IdeficsImageProcessor, IdeficsProcessor

    marks = ("<fake_token_around_image>", "<image>", "<end_of_utterance>")
    tokenizer = tiny.bpe_tokenizer("<s>", "</s>", *marks)
    tokenizer.bos_token, tokenizer.eos_token = "<s>", "</s>"
    vision = {"embed_dim": 32, "image_size": 32, "patch_size": 8, "num_hidden_layers": 2}
    config = IdeficsConfig(
        vocab_size=len(tokenizer) - 2,
        additional_vocab_size=2,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        cross_layer_interval=1,
        use_resampler=True,
        alpha_initializer="ones",
        vision_config={**vision, "num_attention_heads": 4, "intermediate_size": 37},
        perceiver_config={
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
        },
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return IdeficsForVisionText2Text(config), IdeficsProcessor(
        IdeficsImageProcessor(image_size=32), tokenizer
    )


JOINED: dict[str, Callable] = {
    "smolvlm": smolvlm,
    "qwen3-vl": qwen3_vl,
    "qwen3.5": qwen3_5,
    "lfm2-vl": lfm2_vl,
    "llava": llava,
    "gemma3": gemma3,
}
SHAPES: dict[str, Callable] = {**JOINED, "idefics": idefics}


def _with_room(model, processor):
    """Give the model rows for all tokens of the tokenizer."""
    model.resize_token_embeddings(len(processor.tokenizer) + 2)
    return model, processor


def write(model, processor, folder: Path, noise: float = 0.15) -> None:
    """Save a model whose weights are larger than at their begin, so that what it says depends on what it
    sees."""
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data.add_(torch.randn_like(parameter) * noise)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def save(name: str, folder: Path) -> None:
    """Write the model ``name`` to ``folder``."""
    torch.manual_seed(0)
    write(*SHAPES[name](), folder, 0.4 if name == "gemma3" else 0.15)


def loaded(name: str, folder: Path, card: dict | None = None) -> Talker:
    """Return the model that was written to ``folder``."""
    return talker.load_chat_model(folder, name, card or {}, "cpu", torch.float32)
