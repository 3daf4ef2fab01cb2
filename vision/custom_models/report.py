"""The report on a version that was just learned: figures for its row, charts, and a sentence for people."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from vision.custom_models import figures as charts
from vision.custom_models import metrics
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.classification import Classifier, by_chance, expected_error
from vision.custom_models.detection import Detector, Found
from vision.custom_models.figures import Outline, drawn, short
from vision.custom_models.metrics import OVERLAPS, Boxes, LabelFigures, Share, by_label, curve, matched
from vision.custom_models.snapshot import GOOD
from vision.custom_models.thresholds import Limit

STRANGE = "defect"  # what a strange part is called where no kind was taught
COLUMNS, GAP = 2, 8  # of the page, px between charts
COPIED = (  # from an inspection's card to its figures
    *("good_scores", "good_groups", "bad_scores", "weak", "unsure", "method", "alike", "separation"),
    *("taught", "promise"),
)


@dataclass(frozen=True)
class Tested:
    """A picture that was kept for testing. right: its label. score, strange: as of Verdict. chances: of a
    classifier's labels, in their order."""

    sha256: str
    right: str
    said: str
    score: float
    strange: bool
    chances: tuple[float, ...] = ()


@dataclass(frozen=True)
class Report:
    """metrics: JSON that names no picture. charts: PNG by name, in order. sheet: of the worst mistakes."""

    metrics: Mapping[str, Any]
    charts: Mapping[str, bytes]
    sheet: Image.Image | None
    sentence: str


def of_inspection(
    model: Inspector, tested: Sequence[Tested], open_picture: Callable[[str], Image.Image]
) -> Report:
    """Return the report on an inspection. Without defects to test on no area is told."""
    card, limit = model.card, model.limit
    bad = [one for one in tested if one.right != GOOD]
    good = [one for one in tested if one.right == GOOD]
    strange, scores = [one.right != GOOD for one in tested], [one.score for one in tested]
    lines = metrics.curves(strange, scores)
    figures: dict[str, Any] = {name: card[name] for name in COPIED} | {
        "backbone": card["extractor"],
        "overlapping": card.get("overlapping", 0),
        "test": _test(tested),
        "roc": lines and round(lines[0].area, 4),
        "average_precision": lines and round(lines[1].area, 4),
        "found": metrics.share_above([one.score for one in bad], limit).pair(),
        "stopped": metrics.share_above([one.score for one in good], limit).pair(),
    }
    # a kind that the model can't name counts as found, whatever it is called
    known = set(card["names"]) | {GOOD}
    right = [one.right if one.right in known else STRANGE for one in tested]
    names = metrics.names_report(right, [one.said for one in tested]) if tested else None
    drawn = {
        "scores": charts.scores(
            [*card["good_scores"], *(one.score for one in good)],
            [*card["bad_scores"], *(one.score for one in bad)],
            limit,
        )
    }
    if names is not None:
        figures |= _named(names)
        if len(names.labels) > 1:  # good parts that were all called good would be one field
            drawn["confusion"] = charts.confusion(names)
    if lines is not None:
        drawn["curves"] = charts.curves(*lines)
    wrong = _mistakes(tested, right, [abs(one.score / limit - 1) for one in tested])
    return Report(
        figures, drawn, charts.mistake_sheet(wrong, open_picture), _inspection_sentence(model, good, bad)
    )


def of_classifier(
    model: Classifier,
    tested: Sequence[Tested],
    open_picture: Callable[[str], Image.Image],
    taught: Sequence[str] = (),
) -> Report:
    """Return the report on a classifier; without pictures to test on, by those that were left out in turn.
    taught: SHA-256 of what it learned from, in their order, by which doubted labels are told."""
    card = model.card
    doubted = [one for one in card["doubtful"] if one[0] in taught]
    again = [charts.Mistake(sha256, label, rather, other) for sha256, label, rather, _, other in doubted]
    look_again = charts.mistake_sheet(again, open_picture, words=("labelled", "rather"))
    figures: dict[str, Any] = {
        "test": _test(tested),
        "backbone": card["extractor"],
        "weights": card["weights"],
        "too_few": card["too_few"],
        "left_out": {"accuracy": card["accuracy"], "ece": card["calibration_error"], "n": card["examples"]},
        "tried": card["tried"],
        "doubtful": [
            dict(zip(("label", "rather", "chance", "other"), rest, strict=True), place=taught.index(sha256))
            for sha256, *rest in doubted
        ],
    }
    sheet = None
    if not tested:
        told = (
            f"It distinguishes {', '.join(model.labels)}: of {card['examples']} pictures held out in turn,"
            f" {card['accuracy']:.0%} were labelled correctly."
        )
        drawn = {"accuracy": charts.bars([("held out in turn", card["accuracy"])], "labelled correctly")}
    else:
        names = metrics.names_report([one.right for one in tested], [one.said for one in tested])
        figures |= _named(names)
        known = [one for one in tested if one.right in model.labels]
        if known:
            right = torch.tensor([model.labels.index(one.right) for one in known])
            chances = torch.tensor([one.chances for one in known])
            figures["ece"] = round(expected_error(chances, right), 4)
            figures["ece_by_chance"] = round(by_chance(chances), 4)
        told = (
            f"It distinguishes {', '.join(model.labels)}: {names.accuracy} pictures kept for testing were"
            " labelled correctly."
        )
        drawn = {"confusion": charts.confusion(names)}
        wrong = _mistakes(tested, [one.right for one in tested], [one.score for one in tested])
        sheet = charts.mistake_sheet(wrong, open_picture)
    if look_again is not None:
        held = io.BytesIO()
        look_again.save(held, "PNG")
        drawn["look-again"] = held.getvalue()
    if count := len(card["doubtful"]):
        told += f" Please look again at {count} label{'s' if count > 1 else ''} that may be wrong."
    if card["too_few"]:
        told += f" Too few pictures to train on: {', '.join(card['too_few'])}."
    return Report(figures, drawn, sheet, told)


def page(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return charts and sheets on one page, COLUMNS side by side where they are narrow."""
    wide = max(one.width for one in pictures)
    places, left, top, bottom, column = list[tuple[int, int]](), 0, 0, 0, 0
    for one in pictures:
        if column == COLUMNS or left + one.width > wide:
            left, top, column = 0, bottom + GAP, 0
        places.append((left, top))
        left, bottom, column = left + one.width, max(bottom, top + one.height), column + 1
    whole = Image.new("RGB", (wide, bottom), "white")
    for one, place in zip(pictures, places, strict=True):
        whole.paste(one, place)
    return whole


def _test(tested: Sequence[Tested]) -> list[dict[str, Any]]:
    return [
        {"said": one.said, "score": round(one.score, 6), "strange": one.strange}
        for one in sorted(tested, key=lambda one: one.sha256)
    ]


def _named(names: metrics.NamesReport) -> dict[str, Any]:
    return {
        "accuracy": names.accuracy.pair(),
        "macro_f1": round(names.macro_f1, 4),
        "labels": {one.label: one.told() for one in names.figures},
    }


def _mistakes(tested: Sequence[Tested], right: Sequence[str], sure: Sequence[float]) -> list[charts.Mistake]:
    return charts.mistakes([one.sha256 for one in tested], right, [one.said for one in tested], sure)


def _inspection_sentence(model: Inspector, good: Sequence[Tested], bad: Sequence[Tested]) -> str:
    card, limit = model.card, model.limit
    groups = len(set(card["good_groups"]))
    stopped, of = card["promise"]
    said = [*_overlapping(card), Limit(limit, 0 if stopped == of else groups).sentence()]
    if groups == 1 < len(card["good"]):  # a limit by one part promises nothing
        said.pop()
        said = said or [
            f"All {len(card['good'])} good pictures look like one part, so the limit is only a guess."
            " Show others."
        ]
    if bad:
        found = metrics.share_above([one.score for one in bad], limit)
        said.append(f"{found} defects that were kept for testing are found.")
    if good:
        alarms = metrics.share_above([one.score for one in good], limit)
        said.append(f"{alarms} good ones kept for testing are stopped.")
    if card["taught"] and card["taught"]["kept"]:
        learned = card["taught"]
        said.append(
            f"Of {learned['pictures']} defects that it was shown it finds {learned['found']} when they are"
            f" held out in turn, {learned['found before']} without having been shown any."
        )
    if card["weak"]:
        said.append("It is weak: fine defects will be missed on this kind of picture.")
    elif card["unsure"]:
        said.append(f"Unsure about: {', '.join(card['unsure'])}.")
    return " ".join(said)


def _overlapping(card: Mapping[str, Any]) -> list[str]:
    """Say what pictures that overlap can't promise, where there are any."""
    count, places = card.get("overlapping", 0), len(set(card["good_groups"]))  # older versions don't know
    if not count:
        return []
    if places == 1:
        return [
            "The good pictures overlap, and none is without a part of the others: there is no guarantee for"
            " new places. Take pictures that don't overlap."
        ]
    return [
        f"{count} of {len(card['good'])} good pictures overlap others, so that they count as {places} places:"
        " take pictures that don't overlap."
    ]


FEW = 30  # objects below which figures say little
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
    """What came of a picture. objects: each marked object's label, and the score of the box that found it, 0
    = none did. false: label and score of each box that is no such thing."""

    objects: tuple[tuple[str, float], ...]
    false: tuple[tuple[str, float], ...]


def counted(one: Looked) -> Counted:
    """Return what was found of a picture, at the least overlap that counts."""
    scores = np.zeros(len(one.right))
    false: list[tuple[str, float]] = []
    for label in sorted({each.label for each in (*one.right, *one.found)}):
        places = np.flatnonzero([each.label == label for each in one.right])
        said, hits = matched(_of(one, label), OVERLAPS[0])
        scores[places[hits[hits >= 0]]] = said[hits >= 0]
        false += [(label, round(score, 4)) for score in said[hits < 0].tolist()]
    objects = [(each.label, round(score, 4)) for each, score in zip(one.right, scores.tolist(), strict=True)]
    return Counted(tuple(objects), tuple(false))


def of_detector(
    model: Detector, tested: Sequence[Looked], open_picture: Callable[[str], Image.Image]
) -> Report:
    """Return the report on a detector. Without pictures to test on nothing is told of how well it does."""
    tested = sorted(tested, key=lambda one: one.sha256)
    came = [counted(one) for one in tested]
    known = {label: [_of(one, label) for one in tested] for label in model.labels}
    told = by_label(known)
    labels = {}
    for label in model.labels:
        ap50, ap = (round(one, 4) for one in told[label]) if label in told else (None, None)
        found, right = _shares(came, model.limit, label)
        labels[label] = LabelFigures(label, right, found).told() | {"ap50": ap50, "ap": ap}
    ap50, ap = (
        (round(float(np.mean(one)), 4) for one in zip(*told.values(), strict=True)) if told else (None, None)
    )
    found, right = _shares(came, model.limit)
    boxes = model.card["boxes"]
    figures: dict[str, Any] = {
        "test": [{"objects": one.objects, "false": one.false} for one in came],
        "backbone": model.card["extractor"],
        "too_few": model.card["too_few"],
        "pictures": model.card["pictures"],
        "boxes": boxes,
        "labels": labels,
        "ap50": ap50,
        "ap": ap,
        "found": found.pair(),
        "right": right.pair(),
    }
    if told:
        lines = {label: curve(some, OVERLAPS[0]) for label, some in known.items()}
        areas = {label: (*line, labels[label]["ap50"]) for label, line in lines.items() if line is not None}
        drawn_ = {"curves": charts.boxes(areas)}
    else:
        shares = [(label, count / max(boxes.values())) for label, count in boxes.items()]
        drawn_ = {"boxes": charts.bars(shares, "boxes that were learned from", list(boxes.values()))}
    sheet = _box_mistakes(model, tested, came, open_picture)
    return Report(figures, drawn_, sheet, _sentence(model, tested, found, right, figures))


def _of(one: Looked, label: str) -> Boxes:
    right = [each.box for each in one.right if each.label == label]
    said = [each for each in one.found if each.label == label]
    return Boxes(
        np.array(right, np.float64).reshape(-1, 4),
        np.array([each.box for each in said], np.float64).reshape(-1, 4),
        np.array([each.score for each in said], np.float64),
    )


def _shares(came: Sequence[Counted], limit: float, label: str | None = None) -> tuple[Share, Share]:
    """Return how many marked objects are found, and how many of the boxes that are told are right."""
    objects = [score for one in came for name, score in one.objects if label in (None, name)]
    false = [score for one in came for name, score in one.false if label in (None, name)]
    hits = sum(score >= limit for score in objects)
    return Share(hits, len(objects)), Share(hits, hits + sum(score >= limit for score in false))


def _box_mistakes(
    model: Detector,
    tested: Sequence[Looked],
    came: Sequence[Counted],
    open_picture: Callable[[str], Image.Image],
) -> Image.Image | None:
    """Draw the pictures with the most that is wrong: what was missed is dashed, what isn't there has a name
    with a question mark."""
    wrong, shown = list[charts.Mistake](), dict[str, list[Outline]]()
    for one, what in zip(tested, came, strict=True):
        missed = [at for at, (_, score) in enumerate(what.objects) if score < model.limit]
        false = sum(score >= model.limit for _, score in what.false)
        if not missed and not false:
            continue
        said = ", ".join(f"{n} {word}" for n, word in ((len(missed), "missed"), (false, "wrong")) if n)
        wrong.append(charts.Mistake(one.sha256, f"{len(one.right)} objects", said, len(missed) + false))
        shown[one.sha256] = _outlines(one, missed, what, model.limit)
    wrong.sort(key=lambda one: (-one.wrong, one.sha256))

    def opened(sha256: str) -> Image.Image:
        image = open_picture(sha256).convert("RGB")
        image.thumbnail((SHOWN, SHOWN))
        return drawn(image, shown[sha256])

    return charts.mistake_sheet(wrong, opened, LARGE)


def _outlines(one: Looked, missed: Sequence[int], what: Counted, limit: float) -> list[Outline]:
    false = [
        Outline(each.box, f"{short(each.label)}?", FALSE)
        for each in one.found
        if each.score >= limit and (each.label, round(each.score, 4)) in what.false
    ]
    return false + [
        Outline(each.box, short(each.label), MISSED, True) if at in missed else Outline(each.box, "", RIGHT)
        for at, each in enumerate(one.right)
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
        told.append(f"In {len(tested)} {many} kept for testing, {found} marked objects are found.")
        if right.n:
            told.append(f"{right} boxes that it draws there are right.")
        if figures["ap50"] is not None:
            told.append(f"AP50 {figures['ap50']:.2f}, AP50-95 {figures['ap']:.2f}.")
        if found.n < FEW:
            told.append("So few objects say little.")
    if card["too_few"]:
        told.append(f"Too few boxes to train on: {', '.join(card['too_few'])}.")
    return " ".join(told)
