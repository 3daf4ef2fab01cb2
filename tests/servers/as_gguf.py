"""Writes a folder with a SmolVLM as the two files that llama.cpp reads: words and eyes, in float32.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.servers.model import BLANK_LINE

TEXT, EYES = "text.gguf", "mmproj.gguf"
Weights = Mapping[str, np.ndarray]
IN_A_LAYER = {
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
IN_A_LAYER_OF_THE_EYES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "layer_norm1": "ln1",
    "layer_norm2": "ln2",
}


def write(folder: Path, out: Path) -> None:
    """Write ``out``/text.gguf and ``out``/mmproj.gguf."""
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    weights = {
        name: array.astype(np.float32) for name, array in load_file(folder / "model.safetensors").items()
    }
    _write_text(folder, config["text_config"], weights, out / TEXT)
    longest = json.loads((folder / "processor_config.json").read_text())["image_processor"]["size"][
        "longest_edge"
    ]
    _write_eyes(config, longest, weights, out / EYES)


def _write_text(folder: Path, config: Mapping[str, Any], weights: Weights, path: Path) -> None:
    import gguf

    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, folder, config)
    model = "model.text_model."
    writer.add_tensor("token_embd.weight", weights[f"{model}embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights[f"{model}norm.weight"])
    for number in range(config["num_hidden_layers"]):
        layer, block = f"{model}layers.{number}.", f"blk.{number}."
        for name, count in (("q", heads), ("k", kv_heads)):
            rows = _for_rope(weights[f"{layer}self_attn.{name}_proj.weight"], count)
            writer.add_tensor(f"{block}attn_{name}.weight", rows)
        for theirs, name in IN_A_LAYER.items():
            writer.add_tensor(f"{block}{name}.weight", weights[f"{layer}{theirs}.weight"])
    _close(writer)


def _add_tokenizer(writer: Any, folder: Path, config: Mapping[str, Any]) -> None:
    import gguf

    found = json.loads((folder / "tokenizer.json").read_text())
    tokens = [f"<unused_{i}>" for i in range(config["vocab_size"])]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    for token, i in found["model"]["vocab"].items():
        tokens[i] = token
    for added in found["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], gguf.TokenType.CONTROL
    if BLANK_LINE not in tokens:  # in place of a mark that a picture of one tile never has
        tokens[tokens.index("<row_4_col_4>")] = BLANK_LINE
        kinds[tokens.index(BLANK_LINE)] = gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in found["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)  # the template has it
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _write_eyes(config: Mapping[str, Any], longest: int, weights: Weights, path: Path) -> None:
    import gguf

    vision = config["vision_config"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("idefics3")
    writer.add_vision_projection_dim(config["text_config"]["hidden_size"])
    writer.add_vision_image_size(vision["image_size"])
    writer.add_vision_preproc_image_size(longest)
    writer.add_vision_patch_size(vision["patch_size"])
    writer.add_vision_embedding_length(vision["hidden_size"])
    writer.add_vision_feed_forward_length(vision["intermediate_size"])
    writer.add_vision_block_count(vision["num_hidden_layers"])
    writer.add_vision_head_count(vision["num_attention_heads"])
    writer.add_vision_attention_layernorm_eps(vision["layer_norm_eps"])
    writer.add_vision_projector_scale_factor(config["scale_factor"])
    writer.add_vision_use_gelu(True)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    model = "model.vision_model."
    patches = f"{model}embeddings.patch_embedding"
    writer.add_tensor("v.patch_embd.weight", weights[f"{patches}.weight"])
    writer.add_tensor("v.patch_embd.bias", weights[f"{patches}.bias"])
    writer.add_tensor("v.position_embd.weight", weights[f"{model}embeddings.position_embedding.weight"])
    for kind in ("weight", "bias"):
        writer.add_tensor(f"v.post_ln.{kind}", weights[f"{model}post_layernorm.{kind}"])
        for number in range(vision["num_hidden_layers"]):
            for theirs, name in IN_A_LAYER_OF_THE_EYES.items():
                array = weights[f"{model}encoder.layers.{number}.{theirs}.{kind}"]
                writer.add_tensor(f"v.blk.{number}.{name}.{kind}", array)
    writer.add_tensor("mm.model.fc.weight", weights["model.connector.modality_projection.proj.weight"])
    _close(writer)


def _for_rope(rows: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows of q or k in the order in which llama.cpp turns them: pairs beside each other, where
    transformers has halves of a head."""
    turned = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(1, 2)
    return np.ascontiguousarray(turned.reshape(rows.shape))


def _close(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
