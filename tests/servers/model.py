"""A tiny SmolVLM with seeded random weights, as a folder that transformers reads and GGUF holds."""

from pathlib import Path

import torch

from tests.support import tiny

TILE, LONGEST = 32, 64  # px: of a tile of a picture, and of a picture before it is cut into tiles
# What SmolVLM's own template says, but for the space it leaves out after "User:" where a picture comes first:
# llama.cpp tells its templates of pictures as texts
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
MARKS = (
    "<|im_start|>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
    "<image>",
    "<global-img>",
    "<video>",
)
ROWS = tuple(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5))
BLANK_LINE = "ĊĊ"  # two line breaks in one token, without which llama.cpp reads no picture
NOISE = 0.15  # of the weights, so that what it says depends on what it sees


def given(folder: Path | None, work: Path) -> Path:
    """Return ``folder``, or a model of ours that is written to ``work``."""
    if folder is None:
        write(folder := work / "model")
    return folder


def write(folder: Path, seed: int = 0) -> None:
    """Save the model, its processor and its chat template."""
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    words = tokenizer()
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    config = SmolVLMConfig(
        text_config=text.to_dict(),
        vision_config={**tiny.VISION, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=words.pad_token_id,
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = SmolVLMForConditionalGeneration(config)
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data.add_(torch.randn_like(parameter) * NOISE)
    said = {i for token, i in words.get_vocab().items() if token.isascii() and len(token) == 1}
    said |= {words.convert_tokens_to_ids(token) for token in ("Ġ", "Ċ", words.eos_token)}
    never = torch.tensor(sorted({*range(len(words))} - said))
    model.get_input_embeddings().weight.data[never] = 0  # half signs, and marks of pictures
    sizes = {"size": {"longest_edge": LONGEST}, "max_image_size": {"longest_edge": TILE}}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(**sizes), words, SmolVLMVideoProcessor(**sizes), 4, chat_template=TEMPLATE
    )
    model.generation_config.eos_token_id = words.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def tokenizer():
    """One token for each byte, one for a blank line, and SmolVLM's marks; digits and words are kept apart as
    its own does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<pad>", *MARKS, *ROWS, *tiny.byte_alphabet(), BLANK_LINE]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, [("Ċ", "Ċ")]))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    found = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<pad>",
        extra_special_tokens={
            "image_token": "<image>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "end_of_utterance_token": "<end_of_utterance>",
            "video_token": "<video>",
        },
    )
    found.add_special_tokens({"additional_special_tokens": list(ROWS)}, replace_extra_special_tokens=False)
    return found
