"""Draws on cards that are too small, by more and more, and tells what became of the picture.

    python -m tools.short_memory [FAMILY …] [--write]

Each family at full size and native size, without weights, through the program's own loader, plan, engine
and decoder, on a card that isn't there (``hollow_card``). Prints a line for each family and card: how the
plan held the model, in which smaller ways the pictures were drawn after all, or what the member reads,
and whether the weights lie where they did before. --write puts the cards and ways into
``short_memory.json``, and from there they go into docs/reference/image-models.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import OutOfMemory
from core.events import Output
from core.requests.images import ImagineRequest
from tools import full_size, memory_needs
from tools.memory_needs import hollow_card
from vision import families
from vision.capabilities import capability
from vision.engine.engine import Engine, Fiber
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.weights import memory

FAMILIES = tuple(  # all whose whole folder can be written, and that the program draws with from words
    name
    for name, known in full_size.read_architectures().items()
    if known.get("tokenizers") and any(known["pipeline"] == family.text for family in families.FAMILIES)
)
PICTURES = 2
OUTCOMES = Path(__file__).with_name("short_memory.json")  # family → title of a card → cell
LOGGED = {  # what the program's log says of each smaller way
    "decoding in tiles": "tiles",
    "rows; at most": "fewer rows",
    "trying smaller": "one by one",
    "visit the device": "parts",
}


@dataclass(frozen=True)
class Card:
    """A card for one family. title: what it is short of. bytes: of its memory. offload: the setting."""

    title: str
    bytes: int
    offload: str


@dataclass(frozen=True)
class Outcome:
    """What became of a request. output: what was drawn, if anything; else ``text`` is what the member reads.
    plan: how the model was held. ways: smaller ones that were taken. is_back: the weights lie where they did,
    and steps are shared as before. weights: bytes of them on the card when all was loaded. peak: bytes."""

    output: Output | None
    plan: str
    ways: tuple[str, ...]
    is_back: bool
    text: str
    weights: int
    peak: int


def cards(needs: Mapping[str, int], largest: int) -> tuple[Card, ...]:
    """Return cards from ample down to less than a part. needs: bytes as ``memory_needs`` measures them.
    largest: bytes of the largest part's weights."""
    weights, step, decode = needs["weights"], needs["step"], needs["decode"]
    beside = max(step, needs["text"])
    return (
        Card("ample", weights + PICTURES * 2 * beside + decode, "none"),
        Card("decoder", weights + max(decode // 2, round(1.1 * beside)), "none"),
        Card("rows", weights + max(decode // 3, round(1.1 * beside)), "none"),
        Card("a row", weights + beside // 2, "none"),
        Card("weights", weights - beside, "auto"),
        Card("a part", largest // 2, "auto"),
    )


def draw(folder: Path, card: Card) -> Outcome:
    """Draw PICTURES pictures with the model in ``folder`` on ``card``, as a worker does."""
    ways, handler = list[str](), logging.Handler()
    handler.emit = lambda record: ways.extend(  # type: ignore[method-assign]
        way for words, way in LOGGED.items() if words in record.getMessage() and way not in ways
    )
    log = logging.getLogger("vision")
    log.addHandler(handler)
    try:
        with hollow_card(card.bytes) as hollow:
            config: dict[str, Any] = {"allow_download": False, "quantize": "off", "offload": card.offload}
            models = Models(
                WorkerConfig("cuda:0", {"image": str(folder)}, str(folder.parent / "data"), **config)
            )
            model = models.image(None)
            plan, shares, held = model.offload, model.shares_steps, hollow.live
            hollow.reset()
            output, text = request(models)
            is_back = (model.offload, model.shares_steps) == (plan, shares)
            is_back &= plan != "none" or hollow.live >= held  # and what previews and texts keep
            return Outcome(output, plan, tuple(ways), is_back, text, held, hollow.peak)
    finally:
        log.removeHandler(handler)


def begin(engine: Engine, models: Models, **given: Any) -> list[Any]:
    """Begin a job; in the list its output stands once it has ended, or the error. given: of the request."""
    given = {"prompt": "a red house", "seed": 7, "num_images": PICTURES, "num_inference_steps": 2, **given}
    wanted, reporter, ended = ImagineRequest(**given), Reporter(), list[Any]()

    def work(fiber: Fiber) -> Any:
        reporter.fiber = fiber
        return capability(wanted.kind)(wanted, {}, models, reporter)

    engine.begin("job", work, done=lambda result, error: ended.append(error or result))
    return ended


def request(models: Models) -> tuple[Output | None, str]:
    """Return what a job got, or what the member reads."""
    engine = Engine()
    ended = begin(engine, models)
    engine.run()
    engine.stop()
    if isinstance(ended[0], OutOfMemory):
        return None, str(ended[0])
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0], ""


def outcomes(family: str, root: Path) -> Iterator[tuple[Card, Outcome]]:
    """Yield what became of a request on each card. root: where the family's folder is written."""
    full_size.write_model(family, root / family)
    needs = memory_needs.measure(family, root / family)
    for card in cards(needs, memory.sizes(root / family, 2)["off"].largest):
        yield card, draw(root / family, card)


def cell(card: Card, found: Outcome) -> str:
    """Return what the page says of one card: its GiB, and how the pictures were drawn."""
    held = [] if found.plan == "none" else [found.plan]
    drawn = ", ".join((*held, *found.ways)) or "as asked"
    told = drawn if found.output and found.is_back else f"NOT BACK: {drawn}" if found.output else found.text
    return f"{card.bytes / 2**30:.2f}: {told}"


def published() -> dict[str, dict[str, str]]:
    """Return what became of each the last time: family → title of a card → cell."""
    found: dict[str, dict[str, str]] = json.loads(OUTCOMES.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Print a line for each family that the command line names and each card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("families", nargs="*", default=FAMILIES)
    parser.add_argument("--write", action="store_true", help=f"put them into {OUTCOMES.name}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        for family in given.families:
            cells = {}
            for card, found in outcomes(family, Path(root)):
                cells[card.title] = cell(card, found)
                print(
                    f"{family}, {card.title}: {cells[card.title]}; peak {found.peak / 2**30:.2f} GiB,"
                    f" {'back' if found.is_back else 'NOT BACK'}",
                    flush=True,
                )
            if given.write:
                full_size.write_rows(OUTCOMES, {**published(), family: cells})


if __name__ == "__main__":
    main()
