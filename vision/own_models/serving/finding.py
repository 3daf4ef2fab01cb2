"""What a detector finds in pictures: those that were kept for testing, and those that somebody asks about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence

from PIL import Image

from core.results import Region, Verdict
from vision.own_models.detect.detector import Detector, Found
from vision.own_models.detect.network import FAINTEST
from vision.own_models.report.boxes import Looked
from vision.own_models.report.outlines import Outline, drawn, short, tone_of
from vision.own_models.serving.held import Loaded
from vision.own_models.serving.slices import in_slice
from vision.own_models.snapshot import TEST, Item, Snapshot
from vision.own_models.steps import Step
from vision.reporter import Reporter

NOTHING = "Nothing of what it knows is there."
MOST_NAMED, MOST_TEXT = 8, 200  # labels of a sentence, characters of a verdict's label


def testing(
    model: Detector, snapshot: Snapshot, open_picture: Callable[[str], Image.Image]
) -> Generator[Step, None, list[Looked]]:
    """Yield a step for each picture that was kept for testing, and return what is found in them."""
    items, found = snapshot.part(TEST), list[Looked]()
    for number, item in enumerate(items, 1):
        seen = model.detect(open_picture(item.sha256), FAINTEST)
        found.append(Looked(item.sha256, marked(item), tuple(seen)))
        yield Step(number, len(items), f"tested {number} of {len(items)}")
    return found


def marked(item: Item) -> tuple[Found, ...]:
    """Return what is marked in a picture."""
    return tuple(
        Found(name, 1.0, (box[0], box[1], box[2], box[3]))
        for name, box in zip(item.names, item.boxes, strict=True)
    )


def detected(
    sha256: str, image: Image.Image, one: Loaded, limit: float, reporter: Reporter
) -> tuple[Verdict, Image.Image]:
    """Return what a detector finds in a picture, and the picture with it drawn over it. limit: the score from
    which on a thing is told, 0 = the detector's own."""
    model = one.model
    assert isinstance(model, Detector)
    limit = limit or model.limit
    found = in_slice(reporter, "detect", lambda: model.detect(image, limit))
    regions = tuple(
        Region(
            round(left, 6),
            round(top, 6),
            round(right, 6),
            round(bottom, 6),
            round((right - left) * (bottom - top), 6),
            round(thing.score / limit, 4),
            thing.label,
            round(thing.score, 6),
        )
        for thing in found
        for left, top, right, bottom in [thing.box]
    )
    best: dict[str, float] = {}
    for thing in found:
        best.setdefault(thing.label, round(thing.score, 4))
    verdict = Verdict(
        sha256,
        regions[0].score if regions else 0.0,
        False,
        sentence(regions),
        counts(regions)[:MOST_TEXT],
        round(limit, 6),
        tuple(best.items()),
        regions,
    )
    return verdict, outlined(image, regions, model.labels)


def counts(regions: Sequence[Region]) -> str:
    """Return how many there are of each label, the most first: "3 nut, 1 screw"; "" of nothing."""
    counted = Counter(region.label for region in regions)
    order = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{count} {label}" for label, count in order[:MOST_NAMED]]
    return ", ".join(
        [*named, *([f"{len(order) - MOST_NAMED} other labels"] if len(order) > MOST_NAMED else [])]
    )


def sentence(regions: Sequence[Region]) -> str:
    """Say what was found."""
    return f"Found: {counts(regions)}." if regions else NOTHING


def outlined(image: Image.Image, regions: Sequence[Region], labels: Sequence[str]) -> Image.Image:
    """Return a picture with what was found drawn over it, the surest on top."""
    return drawn(
        image,
        [
            Outline(
                (one.left, one.top, one.right, one.bottom),
                f"{short(one.label)} {one.score:.0%}",
                tone_of(labels, one.label),
            )
            for one in regions
        ],
    )
