"""Which family an image model belongs to, and its card. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from core.errors import ModelError
from vision.families import FAMILIES, Family
from vision.families.editors import EDITORS
from vision.weights import card as cards
from vision.weights.card import Card
from vision.weights.config_files import read_json
from vision.weights.contents import config_folder, gguf_folder, header
from vision.weights.trust import shared_parts


def family_of_folder(folder: Path) -> Family:
    """Return the family that ``_class_name`` in model_index.json belongs to, or the last one of ``FAMILIES``.

    Raises ModelError when the folder holds no diffusers pipeline.
    """
    name = read_json(folder / "model_index.json").get("_class_name")
    if not isinstance(name, str):
        raise ModelError(
            f"{folder.name} isn't an image model: it has no model_index.json that names a pipeline."
        )
    return next((family for family in (*FAMILIES, *EDITORS) if name in family.pipelines), FAMILIES[-1])


def family_of_file(path: Path) -> Family:
    """Return the family that the names of the file's tensors belong to. Raises ModelError when none does.

    Later families are tried first: FLUX.2 has FLUX.1's tensors and more.
    """
    names = header(path)
    for family in reversed(FAMILIES):
        if any(part in name for part in family.file_keys for name in names):
            return family
    raise ModelError(f"{path.name} is of no family that Atelier can load from one file.")


def family_and_card(path: Path) -> tuple[Family, Card]:
    """Return family and card of the image model in folder or file ``path``. Raises ModelError like the above,
    or when ``atelier.json`` can't be used."""
    folder = path if path.is_dir() else gguf_folder(path)
    family = family_of_folder(folder) if folder is not None else family_of_file(path)
    folder = folder or config_folder(path)
    if folder is None:
        return family, cards.make(family, {}, {})
    configs = {p.parent.name: read_json(p) for p in folder.glob("*/config.json")} | {
        "model_index": read_json(folder / "model_index.json"),
        **{name: read_json(part / "config.json") for name, part in shared_parts(folder).items()},
    }
    return family, cards.make(family, configs, cards.read(folder))
