"""The report on a version that was just learned: figures for its row, charts, and a sentence for people."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from vision.own_models.anomaly.inspector import Inspector
from vision.own_models.anomaly.limit import Limit
from vision.own_models.classify.classifier import Classifier
from vision.own_models.report import calibration, metrics, sheet
from vision.own_models.snapshot import GOOD

STRANGE = "defect"  # what a strange part is called where no kind was taught
COLUMNS, GAP = 2, 8  # of the page, px between charts


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
    from vision.own_models.report import charts

    card, limit = model.card, model.limit
    bad = [one for one in tested if one.right != GOOD]
    good = [one for one in tested if one.right == GOOD]
    strange, scores = [one.right != GOOD for one in tested], [one.score for one in tested]
    roc, curve = metrics.roc(strange, scores), metrics.precision_recall(strange, scores)
    figures: dict[str, Any] = {
        "good_scores": card["good_scores"],
        "good_groups": card["good_groups"],
        "bad_scores": card["bad_scores"],
        "weak": card["weak"],
        "unsure": card["unsure"],
        "method": card["method"],
        "alike": card["alike"],
        "backbone": card["extractor"],
        "separation": card["separation"],
        "taught": card["taught"],
        "promise": card["promise"],
        "overlapping": card.get("overlapping", 0),
        "test": _test(tested),
        "roc": None if roc is None else round(roc.area, 4),
        "average_precision": None if curve is None else round(curve.area, 4),
        "found": _counted(metrics.found([one.score for one in bad], limit)),
        "stopped": _counted(metrics.alarms([one.score for one in good], limit)),
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
    if roc is not None:
        drawn["curves"] = charts.curves(roc, curve)
    wrong = _mistakes(tested, right, [abs(one.score / limit - 1) for one in tested])
    return Report(figures, drawn, sheet.sheet(wrong, open_picture), _inspection_sentence(model, good, bad))


def of_classifier(
    model: Classifier,
    tested: Sequence[Tested],
    open_picture: Callable[[str], Image.Image],
    taught: Sequence[str] = (),
) -> Report:
    """Return the report on a classifier; without pictures to test on, by those that were left out in turn.
    taught: SHA-256 of what it learned from, in their order, by which doubted labels are told."""
    from vision.own_models.report import charts

    card = model.card
    doubted = [one for one in card["doubtful"] if one[0] in taught]
    again = [sheet.Mistake(sha256, label, rather, other) for sha256, label, rather, _, other in doubted]
    look_again = sheet.sheet(again, open_picture, words=("labelled", "rather"))
    figures: dict[str, Any] = {
        "test": _test(tested),
        "backbone": card["extractor"],
        "weights": card["weights"],
        "too_few": card["too_few"],
        "left_out": {"accuracy": card["accuracy"], "ece": card["calibration_error"], "n": card["examples"]},
        "tried": card["tried"],
        "doubtful": [
            {
                "place": taught.index(sha256),
                "label": label,
                "rather": rather,
                "chance": chance,
                "other": other,
            }
            for sha256, label, rather, chance, other in doubted
        ],
    }
    if not tested:
        sentence = (
            f"It tells {', '.join(model.labels)} apart: of {card['examples']} pictures that were left out in"
            f" turn {card['accuracy']:.0%} were named rightly."
        )
        drawn = {"accuracy": charts.bars([("left out in turn", card["accuracy"])], "named rightly")}
        return Report(figures, drawn | _page(look_again), None, sentence + _doubted(card) + _too_few(card))
    names = metrics.names_report([one.right for one in tested], [one.said for one in tested])
    figures |= _named(names)
    known = [one for one in tested if one.right in model.labels]
    if known:
        right = torch.tensor([model.labels.index(one.right) for one in known])
        chances = torch.tensor([one.chances for one in known])
        figures["ece"] = round(calibration.expected_error(chances, right), 4)
        figures["ece_by_chance"] = round(calibration.by_chance(chances), 4)
    wrong = _mistakes(tested, [one.right for one in tested], [one.score for one in tested])
    sentence = (
        f"It tells {', '.join(model.labels)} apart: {names.accuracy} pictures that were kept for testing were"
        " named rightly."
    )
    return Report(
        figures,
        {"confusion": charts.confusion(names)} | _page(look_again),
        sheet.sheet(wrong, open_picture),
        sentence + _doubted(card) + _too_few(card),
    )


def page(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return charts and sheets on one page, COLUMNS side by side where they are narrow."""
    wide = max(one.width for one in pictures)
    rows: list[list[Image.Image]] = []
    for one in pictures:
        fits = rows and len(rows[-1]) < COLUMNS and sum(each.width for each in rows[-1]) + one.width <= wide
        if fits:
            rows[-1].append(one)
        else:
            rows.append([one])
    high = sum(max(one.height for one in row) for row in rows) + GAP * (len(rows) - 1)
    whole = Image.new("RGB", (max(sum(one.width for one in row) for row in rows), high), "white")
    top = 0
    for row in rows:
        left = 0
        for one in row:
            whole.paste(one, (left, top))
            left += one.width
        top += max(one.height for one in row) + GAP
    return whole


def _test(tested: Sequence[Tested]) -> list[dict[str, Any]]:
    return [
        {"said": one.said, "score": round(one.score, 6), "strange": one.strange}
        for one in sorted(tested, key=lambda one: one.sha256)
    ]


def _counted(share: metrics.Share) -> list[int]:
    return [share.hits, share.n]


def _named(names: metrics.NamesReport) -> dict[str, Any]:
    return {
        "accuracy": _counted(names.accuracy),
        "macro_f1": round(names.macro_f1, 4),
        "labels": {
            one.label: {
                "precision": _counted(one.precision),
                "recall": _counted(one.recall),
                "f1": round(one.f1, 4),
            }
            for one in names.figures
        },
    }


def _mistakes(tested: Sequence[Tested], right: Sequence[str], sure: Sequence[float]) -> list[sheet.Mistake]:
    return sheet.mistakes([one.sha256 for one in tested], right, [one.said for one in tested], sure)


def _inspection_sentence(model: Inspector, good: Sequence[Tested], bad: Sequence[Tested]) -> str:
    card, limit = model.card, model.limit
    groups = len(set(card["good_groups"]))
    stopped, of = card["promise"]
    said = [*_overlapping(card), Limit(limit, 0 if stopped == of else groups).sentence()]
    if groups == 1 < len(card["good"]) and len(said) > 1:
        said.pop()
    if bad:
        found = metrics.found([one.score for one in bad], limit)
        said.append(f"{found} defects that were kept for testing are found.")
    if good:
        said.append(
            f"{metrics.alarms([one.score for one in good], limit)} good ones kept for testing are stopped."
        )
    if card["taught"] and card["taught"]["kept"]:
        learned = card["taught"]
        said.append(
            f"Of {learned['pictures']} defects that it was shown it finds {learned['found']} when they are"
            f" left out in turn, {learned['found before']} without having been shown any."
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
            "The good pictures overlap, and none is without a part of the others: nothing can be promised of"
            " new places. Take pictures that don't overlap."
        ]
    return [
        f"{count} of {len(card['good'])} good pictures overlap others, so that they count as {places} places:"
        " take pictures that don't overlap."
    ]


def _page(look_again: Image.Image | None) -> dict[str, bytes]:
    """Return the sheet of doubted labels as a chart, where there are any."""
    if look_again is None:
        return {}
    held = io.BytesIO()
    look_again.save(held, "PNG")
    return {"look-again": held.getvalue()}


def _doubted(card: Mapping[str, Any]) -> str:
    count = len(card["doubtful"])
    if not count:
        return ""
    return f" Please look again at {count} label{'s' if count > 1 else ''} that may be wrong."


def _too_few(card: Mapping[str, Any]) -> str:
    return f" Too few pictures to be taught: {', '.join(card['too_few'])}." if card["too_few"] else ""
