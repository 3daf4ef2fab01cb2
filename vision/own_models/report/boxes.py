"""The report on a detector that was just learned: what it found of what is marked in pictures that were kept
for testing, and what it found that isn't there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from vision.own_models.detect.detector import Detector, Found
from vision.own_models.report import sheet
from vision.own_models.report.average_precision import OVERLAPS, Boxes, by_label, curve, matched
from vision.own_models.report.learned import Report
from vision.own_models.report.metrics import Share
from vision.own_models.report.outlines import Outline, drawn, short

FEW = 30  # things below which figures say little
RIGHT, MISSED, FALSE = "#56b4e9", "#e69f00", "#ff5fa2"  # outlines on the sheet of mistakes
SHOWN, LARGE = 512, 320  # px of the longer side of a mistake, and of its place on the sheet


@dataclass(frozen=True)
class Looked:
    """A picture that was kept for testing. right: what is marked. found: from a score of ``FAINTEST`` on."""

    sha256: str
    right: tuple[Found, ...]
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Counted:
    """What came of a picture. objects: each marked thing's label, and the score of the box that found it, 0 =
    none did. false: label and score of each box that is no such thing."""

    objects: tuple[tuple[str, float], ...]
    false: tuple[tuple[str, float], ...]


def counted(one: Looked) -> Counted:
    """Return what was found of a picture, at the least overlap that counts."""
    scores = np.zeros(len(one.right))
    false: list[tuple[str, float]] = []
    for label in sorted({each.label for each in (*one.right, *one.found)}):
        places = [at for at, each in enumerate(one.right) if each.label == label]
        said, hits = matched(_of(one, label), OVERLAPS[0])
        for score, hit in zip(said.tolist(), hits.tolist(), strict=True):
            if hit >= 0:
                scores[places[hit]] = score
            else:
                false.append((label, round(score, 4)))
    objects = tuple(
        (each.label, round(score, 4)) for each, score in zip(one.right, scores.tolist(), strict=True)
    )
    return Counted(objects, tuple(false))


def of_detector(
    model: Detector, tested: Sequence[Looked], open_picture: Callable[[str], Image.Image]
) -> Report:
    """Return the report on a detector. Without pictures to test on nothing is told of how well it does."""
    from vision.own_models.report import charts

    tested = sorted(tested, key=lambda one: one.sha256)
    came = [counted(one) for one in tested]
    known = {label: [_of(one, label) for one in tested] for label in model.labels}
    told = by_label(known)
    labels = {label: _label(label, came, told.get(label), model.limit) for label in model.labels}
    figures: dict[str, Any] = {
        "test": [{"objects": one.objects, "false": one.false} for one in came],
        "backbone": model.card["extractor"],
        "too_few": model.card["too_few"],
        "pictures": model.card["pictures"],
        "boxes": model.card["boxes"],
        "labels": labels,
        "ap50": round(float(np.mean([one for one, _ in told.values()])), 4) if told else None,
        "ap": round(float(np.mean([one for _, one in told.values()])), 4) if told else None,
    }
    found, right = _shares(came, model.limit)
    figures |= {"found": [found.hits, found.n], "right": [right.hits, right.n]}
    drawn_: dict[str, bytes] = {}
    if told:
        lines = {label: curve(some, OVERLAPS[0]) for label, some in known.items()}
        drawn_["curves"] = charts.boxes(
            {label: (*line, labels[label]["ap50"]) for label, line in lines.items() if line is not None}
        )
    else:
        shares = [
            (label, count / max(model.card["boxes"].values())) for label, count in model.card["boxes"].items()
        ]
        drawn_["boxes"] = charts.bars(
            shares, "boxes that were learned from", list(model.card["boxes"].values())
        )
    return Report(
        figures,
        drawn_,
        _mistakes(model, tested, came, open_picture),
        _sentence(model, tested, found, right, figures),
    )


def _of(one: Looked, label: str) -> Boxes:
    right = [each.box for each in one.right if each.label == label]
    said = [each for each in one.found if each.label == label]
    return Boxes(
        np.array(right, np.float64).reshape(-1, 4),
        np.array([each.box for each in said], np.float64).reshape(-1, 4),
        np.array([each.score for each in said], np.float64),
    )


def _shares(came: Sequence[Counted], limit: float, label: str | None = None) -> tuple[Share, Share]:
    """Return how many marked things are found, and how many of the boxes that are told are right."""
    objects = [score for one in came for name, score in one.objects if label in (None, name)]
    false = [score for one in came for name, score in one.false if label in (None, name)]
    hits = sum(score >= limit for score in objects)
    return Share(hits, len(objects)), Share(hits, hits + sum(score >= limit for score in false))


def _label(
    label: str, came: Sequence[Counted], precision: tuple[float, float] | None, limit: float
) -> Mapping[str, Any]:
    found, right = _shares(came, limit, label)
    both = found.n + right.n
    return {
        "precision": [right.hits, right.n],
        "recall": [found.hits, found.n],
        "f1": round(2 * found.hits / both, 4) if both else 0.0,
        "ap50": None if precision is None else round(precision[0], 4),
        "ap": None if precision is None else round(precision[1], 4),
    }


def _mistakes(
    model: Detector,
    tested: Sequence[Looked],
    came: Sequence[Counted],
    open_picture: Callable[[str], Image.Image],
) -> Image.Image | None:
    """Draw the pictures with the most that is wrong: what was missed is dashed, what isn't there has a name
    with a question mark."""
    wrong, shown = list[sheet.Mistake](), dict[str, list[Outline]]()
    for one, what in zip(tested, came, strict=True):
        missed = [at for at, (_, score) in enumerate(what.objects) if score < model.limit]
        false = sum(score >= model.limit for _, score in what.false)
        if not missed and not false:
            continue
        said = ", ".join(
            part for part in (f"{len(missed)} missed" * bool(missed), f"{false} wrong" * bool(false)) if part
        )
        wrong.append(sheet.Mistake(one.sha256, f"{len(one.right)} things", said, len(missed) + false))
        shown[one.sha256] = _outlines(one, missed, what, model.limit)
    wrong.sort(key=lambda one: (-one.wrong, one.sha256))

    def opened(sha256: str) -> Image.Image:
        image = open_picture(sha256).convert("RGB")
        image.thumbnail((SHOWN, SHOWN))
        return drawn(image, shown[sha256])

    return sheet.sheet(wrong, opened, LARGE)


def _outlines(one: Looked, missed: Sequence[int], what: Counted, limit: float) -> list[Outline]:
    places = set(missed)
    found = [
        Outline(
            each.box,
            short(each.label) if at in places else "",
            MISSED if at in places else RIGHT,
            at in places,
        )
        for at, each in enumerate(one.right)
    ]
    false = set(what.false)
    return [
        *(
            Outline(each.box, f"{short(each.label)}?", FALSE)
            for each in one.found
            if each.score >= limit and (each.label, round(each.score, 4)) in false
        ),
        *found,
    ]


def _sentence(
    model: Detector, tested: Sequence[Looked], found: Share, right: Share, figures: Mapping[str, Any]
) -> str:
    card = model.card
    told = [f"It finds {', '.join(model.labels)}, from {card['pictures']} pictures."]
    if not tested or not found.n:
        told.append("No picture was kept for testing: how well it does isn't known. Mark more of them.")
    else:
        many = "picture" if len(tested) == 1 else "pictures"
        told.append(f"In {len(tested)} {many} kept for testing, {found} marked things are found.")
        if right.n:
            told.append(f"{right} boxes that it draws there are right.")
        if figures["ap50"] is not None:
            told.append(f"AP50 {figures['ap50']:.2f}, AP50-95 {figures['ap']:.2f}.")
        if found.n < FEW:
            told.append("So few things say little.")
    if card["too_few"]:
        told.append(f"Too few boxes to be taught: {', '.join(card['too_few'])}.")
    return " ".join(told)
