"""What is known of versions, as the page of a report shows it."""

from __future__ import annotations

from typing import Any

from core.errors import UserError
from core.job import Job
from core.requests.own_models import DETECT
from studio.authority import Action
from studio.projects.shelf import Card
from studio.projects.training import MOVES, Report
from web.call import Call
from web.handlers.projects import found, shapes
from web.handlers.projects.intervals import interval

CHARTS = {
    "confusion": "Which label was said of which",
    "scores": "How strange the pictures are, and the threshold",
    "roc": "Found against false alarms, at every threshold",
    "pr": "How many of those stopped are defects, at every threshold",
    "curves": "Right against found, from the surest on",
    "boxes": "What it learned from",
    "mistakes": "The worst mistakes",
    "samples": "The same words without the style, and after more and more steps",
    "report": "The report as one picture",
}
SHARES = (("found", "Marked things found"), ("right", "Boxes that are right"))  # of a detector
PARTS = {"train": "Learned from", "test": "Kept for testing"}


async def values(call: Call, card: Card) -> dict[str, Any]:
    """Return what the page of a report shows of the version that the address names, or of the one that is
    used. What is wrong with a wish in the address is told on the page."""
    training, project_id = call.studio.projects.training, card.project.id
    every = await training.versions(call.actor, project_id)
    shown: dict[str, Any] = {
        "versions": [shapes.version(one) for one in every],
        "report": None,
        "moves_offered": [],
        "moved": None,
        "compared": "",
        "bundle": None,
    }
    if not every:
        return shown
    wanted = found.version_of(call.query.get("version", ""))
    usual = card.version.number if card.version else every[0].number
    report = await training.report(call.actor, project_id, wanted or usual)
    shown["report"] = _report(card, report)
    shown["moves_offered"] = list(MOVES) if shown["report"]["has_threshold"] and "manage" in card.may else []
    if move := call.query.get("move", ""):
        shown["moved"] = await _moved(call, project_id, move, report.version.number)
    if other := found.version_of(call.query.get("with", "")):
        shown["compared"] = await _compared(call, project_id, report.version.number, other)
    shown["bundle"] = await _bundle(call, call.query.get("bundle", ""))
    return shown


async def _moved(call: Call, project_id: str, move: str, number: int) -> dict[str, Any]:
    try:
        moved = await call.studio.projects.training.threshold(call.actor, project_id, move, number)
    except UserError as error:
        return {"move": move, "sentence": str(error), "can": False}
    return {"move": move, "sentence": moved.sentence, "can": True}


async def _compared(call: Call, project_id: str, number: int, other: int) -> str:
    first, second = sorted((number, other))
    try:
        return await call.studio.projects.training.compare(call.actor, project_id, first, second)
    except UserError as error:
        return str(error)


async def _bundle(call: Call, job_id: str) -> dict[str, Any] | None:
    """Return how far a bundle is, None where the address names none of the person's."""
    try:
        job: Job = await call.studio.rights.job(call.actor, job_id, Action.SHOW)
    except UserError:
        return None
    if job.request.kind != "bundle":
        return None
    return {"job": job.id, "over": job.status.over, "error": job.error, "href": f"/files/bundles/{job.id}"}


def _report(card: Card, report: Report) -> dict[str, Any]:
    version, metrics = report.version, report.version.metrics
    files = f"/files/projects/{card.project.id}/versions/{version.number}"
    charts = [name for name in report.charts if name != "report" or len(report.charts) == 1]
    return {
        **shapes.version(version),
        "sentences": [sentence for sentence in report.sentences if sentence],
        "charts": [
            {
                "name": name,
                "title": CHARTS.get(name, name.replace("-", " ").capitalize()),
                "src": f"{files}/{name}",
            }
            for name in charts
        ],
        "parts": [
            {"name": PARTS.get(part, part), "labels": list(labels.items()), "total": sum(labels.values())}
            for part, labels in sorted(report.parts.items(), reverse=True)
        ],
        "shares": [
            _share(name, metrics[key])
            for key, name in (("accuracy", "Right"), *(SHARES if card.project.task == DETECT else ()))
            if metrics.get(key)
        ],
        "labels": [
            {
                "name": name,
                "precision": _share("Precision", told.get("precision", (0, 0))),
                "recall": _share("Recall", told.get("recall", (0, 0))),
                "f1": told.get("f1"),
                "ap50": told.get("ap50"),
                "ap": told.get("ap"),
            }
            for name, told in metrics.get("labels", {}).items()
        ],
        "figures": [
            {"name": name, "value": f"{float(metrics[key]):.3f}"}
            for key, name in (
                ("roc", "Area under the ROC curve"),
                ("pr", "Area under the PR curve"),
                ("ece", "Calibration error"),
                ("ap50", "AP50, mean over labels"),
                ("ap", "AP50-95, mean over labels"),
            )
            if isinstance(metrics.get(key), int | float)
        ],
        "weak": bool(metrics.get("weak")),
        "has_threshold": version.threshold is not None
        and (card.project.task == DETECT or bool(metrics.get("good_scores"))),
    }


def _share(name: str, counted: Any) -> dict[str, Any]:
    """Return a share with the interval in which it may lie."""
    hits, n = int(counted[0]), int(counted[1])
    low, high = interval(hits, n)
    return {"name": name, "hits": hits, "n": n, "value": hits / n if n else None, "low": low, "high": high}
