"""Folders of full size: the published number of weights, and what a loader finds in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from tools import full_size
from vision.weights import card as cards
from vision.weights import files

KNOWN = full_size.read_architectures()
PARTS = [
    (family, name, part["library"], part["class"], part["config"], part["weights"])
    for family, known in KNOWN.items()
    for name, part in known.get("parts", {}).items()
    if "weights" in part
]
READERS = [
    (name, "", "transformers", known["class"], known["config"], known["weights"])
    for name, known in KNOWN.items()
    if "class" in known
]


@pytest.mark.parametrize(
    ("family", "part", "library", "name", "config", "weights"),
    [*PARTS, *READERS],
    ids=lambda value: str(value)[:20],
)
def test_each_part_has_the_published_number_of_weights(
    family: str, part: str, library: str, name: str, config: dict[str, object], weights: int
) -> None:
    assert full_size.count_weights(full_size.make_module(library, name, config)) == weights


def test_every_architecture_says_where_it_comes_from() -> None:
    assert all(known["source"] and "/" in known["repository"] for known in KNOWN.values())


def test_a_folder_of_seven_gigabytes_takes_a_few_megabytes(tmp_path: Path) -> None:
    folder = tmp_path / "sdxl"
    full_size.write_model("stable-diffusion-xl", folder)
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    assert sum(one.st_size for one in found) > 6.9e9 > 100 * sum(512 * one.st_blocks for one in found)
    with safe_open(next((folder / "vae").glob("*.safetensors")), "pt") as weights:
        norm = weights.get_tensor("decoder.conv_norm_out.weight")
        assert norm.dtype == torch.bfloat16 and norm.unique().tolist() == [1]
    assert len(AutoTokenizer.from_pretrained(folder / "tokenizer")) == 49_408
    files.check_folder(folder)
    family, settings = cards.family_and_card(folder)
    assert family.name == "stable-diffusion-xl" and settings.native_size == 1024
