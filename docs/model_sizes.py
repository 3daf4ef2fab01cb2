"""How much memory the models of the profiles take, and films' models: ``python -m docs.model_sizes`` writes
the tables of models.md and video.md.

Nothing is downloaded. Each model is built from its configuration on torch's meta device, where tensors have
shapes and no contents; the shapes are added up as ``vision.weights.memory`` adds up those of real files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import torch

from core.settings import ROOT
from docs import film_models, image_models
from docs.image_models import Model
from vision.weights import memory

BEGIN, END = "<!-- model sizes -->\n", "<!-- end -->\n"
GB = 1e9
QUANTIZABLE = ("transformer", "transformer_2", "unet", "text_encoder", "text_encoder_3")
PUBLISHED = image_models.PUBLISHED | film_models.PUBLISHED
COLUMNS = ("model", "licence", "weights, billions", "disk", "16 bits", "int8", "nf4", "steps")


def parameters(build: Callable[[], torch.nn.Module]) -> list[tuple[str, torch.Size]]:
    """Return the names and shapes of a part's weights. Tied ones count once, as they are stored once."""
    with torch.device("meta"):
        module = build()
        if hasattr(module, "tie_weights"):
            module.tie_weights()
    return [(name, tensor.shape) for name, tensor in module.named_parameters()]


def _tensors(shapes: dict[str, list[tuple[str, torch.Size]]]) -> Iterator[memory.Tensor]:
    for part, named in shapes.items():
        for name, shape in named:
            yield memory.float_tensor(part, name, shape.numel(), len(shape), 2)


def row(model: Model, cards: bool = False) -> str:
    """Return the model's line of the table; cards: with how it is held on each of ``film_models.CARDS``."""
    shapes = {part: parameters(build) for part, build in model.parts.items()}
    counts = {part: sum(shape.numel() for _, shape in named) for part, named in shapes.items()}
    for part, count in counts.items():
        if (said := PUBLISHED.get((model.name, part))) and abs(count / 1e9 / said - 1) > 0.01:
            raise SystemExit(
                f"{model.name}: {part} has {count / 1e9:.3f} billion weights, published are {said}"
            )
    clip = {
        part for part in model.parts if part in ("text_encoder", "text_encoder_2") and "unet" in model.parts
    }
    clip |= {"text_encoder", "text_encoder_2"} if "text_encoder_3" in model.parts else set()
    found = memory.of_tensors(_tensors(shapes), [p for p in shapes if p in QUANTIZABLE and p not in clip])
    disk = sum(count * dict(model.on_disk).get(part, 2) for part, count in counts.items())
    cells = [model.name, model.licence, f"{sum(counts.values()) / 1e9:.2f}", f"{disk / GB:.1f}"]
    cells += [
        f"{found[kind].total / GB:.1f}, {found[kind].largest / GB:.1f}" if kind in found else ""
        for kind in ("off", "int8", "nf4")
    ]
    return _line([*cells, model.steps, *(film_models.on_cards(found) if cards else ())])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _head(columns: Sequence[str]) -> str:
    return _line(columns) + "|---" * len(columns) + "|\n"


def main() -> int:
    """Write the tables into their pages; return 0."""
    _write("models.md", _head(COLUMNS) + "".join(map(row, image_models.MODELS)))
    cards = [f"{card} GB" for card in film_models.CARDS]
    films = (row(model, cards=True) for model in film_models.MODELS)
    _write("video.md", _head([*COLUMNS, *cards]) + "".join(films))
    return 0


def _write(page: str, table: str) -> None:
    path = ROOT / "docs" / page
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(before + BEGIN + table + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
