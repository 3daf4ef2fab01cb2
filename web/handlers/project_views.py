"""Projects, their pictures, versions, reports and verdicts as pages and programs read them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from core.language import N_, _, retold
from core.prompt.values import lora_name
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, MARKED, STYLE
from storage.projects.dataset import DISPUTED, LABELLED, LEFT_OUT, NEW, Item, Mark
from storage.projects.projects import EVERYBODY, RIGHTS, Project
from storage.projects.versions import Judged, Version
from storage.watches import ALARM, Watch, Watched
from studio.projects.projects import GOOD, Card
from studio.projects.trainings import Report

KINDS = {ANOMALY: N_("Inspection"), CLASSIFY: N_("Classifier"), DETECT: N_("Boxes"), STYLE: N_("Style")}
STATES = {NEW: N_("no label yet"), LABELLED: "labelled", DISPUTED: "disputed", LEFT_OUT: "excluded"}


def describe_project(found: Project) -> dict[str, Any]:
    """Return a project as a list shows it."""
    return {
        "id": found.id,
        "name": found.name,
        "task": found.task,
        "kind": _(KINDS[found.task]),
        "shared": found.guild_id is not None,
        "href": f"/projects/{found.id}",
    }


def describe_card(found: Card) -> dict[str, Any]:
    """Return a project with what there is of it."""
    counted = found.boxes if found.project.task == DETECT else found.counts.labels
    return {
        **describe_project(found.project),
        "alike": found.project.alike,
        "words": found.project.words,
        "lora": lora_name(found.project.name) if found.project.task == STYLE else None,
        "labels": [
            {
                "name": label.name,
                "meaning": label.meaning,
                "count": counted.get(label.name, 0),
                "fixed": label.name == GOOD and found.project.task == ANOMALY,
            }
            for label in found.book
        ],
        "total": found.counts.total,
        "states": {state: found.counts.states.get(state, 0) for state in STATES},
        "voices": found.project.voices,
        "voiced": found.counts.voiced,
        "said": found.counts.said,
        "left": sum(found.counts.states.get(state, 0) for state in (NEW, DISPUTED)) - found.counts.said,
        "version": None if found.version is None else found.version.number,
        "verdicts": found.tally.verdicts,
        "strange": found.tally.strange,
        "right": found.tally.right,
        "wrong": found.tally.wrong,
        "training": (None if found.project.due else found.training) or None,
        "again": bool(found.project.due),
        "since": found.since,
        "advice": retold(found.advice),
        "may": sorted(found.may),
    }


def describe_rights(found: Project, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return what each role was given, every member's first. names: of the server's roles, by id."""
    roles = sorted({EVERYBODY, *(role for role, _unused in found.granted)})
    return [
        {
            "role": str(role),
            "name": names.get(role, _("Role {role}", role=role)) if role else _("Every member"),
            "rights": [right for right in RIGHTS if (role, right) in found.granted],
        }
        for role in roles
    ]


def describe_item(project_id: str, found: Item, reader: int) -> dict[str, Any]:
    """Return a picture of a project as ``reader`` (a user id) sees it."""
    files = f"/files/projects/{project_id}/{found.sha256}"
    return {
        "id": found.sha256,
        "label": found.label,
        "state": found.state,
        "said": _("boxes drawn") if found.label == MARKED else found.label or _(STATES[found.state]),
        "mine": found.user_id == reader,
        "small": f"{files}.webp",
        "whole": f"{files}.png",
    }


def describe_mark(project_id: str, sha256: str, word: Mark | None, reader: int) -> dict[str, Any] | None:
    """Return what somebody calls a picture, and where they see that; None for nothing."""
    if word is None:
        return None
    mask = word.mask and f"/files/projects/{project_id}/{sha256}/masks/{word.mask}.png"
    boxes, mine = [list(box) for box in word.boxes], word.user_id == reader
    return {"label": word.label, "boxes": boxes, "mask": mask, "mine": mine}


def describe_version(found: Version) -> dict[str, Any]:
    """Return a version as a list shows it."""
    return {
        "number": found.number,
        "state": found.state,
        "usable": found.artefact is not None,
        "at": found.at.isoformat(),
        "sentence": str(found.metrics.get("sentence", "")),
        "promise": found.promise,
        "threshold": found.threshold,
        "size": found.size,
        "pixels": found.settings.get("pixels"),
        "seed": found.settings.get("seed"),
    }


def describe_verdict(judged: Judged, said: Mapping[str, Any], thumb: str | None) -> dict[str, Any]:
    """Return a verdict. said: as its job's result has it. thumb: where its picture is, small."""
    return {
        "position": judged.position,
        "picture": judged.sha256,
        "version": judged.number,
        "thumb": thumb,
        "strange": judged.strange,
        "label": judged.label,
        "score": judged.score,
        "sentence": str(said.get("sentence", "")),
        "names": [[str(name), float(share)] for name, share in said.get("names", ())],
        "answer": {None: None, True: "right", False: "wrong"}[judged.is_right],
    }


def describe_watch(watch: Watch) -> dict[str, Any]:
    """Return a camera as its project's managers see it."""
    quiet = watch.quiet_until is not None and watch.quiet_until > datetime.now(UTC)
    return {
        "id": watch.id,
        "camera": watch.camera,
        "source": watch.source,
        "channel": str(watch.channel_id) if watch.channel_id else None,
        "days": watch.keep_days,
        "every": watch.every,
        "on": watch.is_on,
        "seen": watch.seen_at and watch.seen_at.isoformat(),
        "quiet": watch.quiet_until.isoformat() if watch.quiet_until and quiet else None,
        "trouble": watch.trouble,
        "hours": watch.hours,
        "most": watch.most,
        "silent": watch.silent_after,
        "notice": watch.notice,
    }


def describe_alarm(one: Watched) -> dict[str, Any]:
    """Return a picture that was stopped. posted: whether somebody was told. map: it beside its heat map."""
    return {
        "job": one.job_id,
        "watch": one.watch_id,
        "camera": one.camera,
        "at": one.at.isoformat(),
        "score": one.score,
        "version": one.number,
        "posted": one.state == ALARM,
        "why": one.why,
        "map": f"/files/{one.job_id}/0",
        "answer": {None: None, True: "right", False: "wrong"}[one.is_right],
    }


CONFIDENCE = 0.95
STEPS = 40  # halvings of 0..1


@cache
def interval(hits: int, n: int) -> tuple[float, float]:
    """Return the lowest and the highest share that agree with ``hits`` of ``n`` at CONFIDENCE.

    Clopper and Pearson, Biometrika 26 (1934): found by halving, so that no library of statistics is needed.
    """
    rest = (1 - CONFIDENCE) / 2

    def share_at(hits: int, chance: float) -> float:
        low, high = 0.0, 1.0
        for _unused in range(STEPS):
            share = (low + high) / 2
            low, high = (share, high) if _chance(hits, n, share) < chance else (low, share)
        return (low + high) / 2

    return share_at(hits, rest) if hits else 0.0, share_at(hits + 1, 1 - rest) if hits < n else 1.0


def _chance(hits: int, n: int, share: float) -> float:
    """Return the chance of ``hits`` or more of ``n``, each with the chance ``share``."""
    whole, one, other = math.lgamma(n + 1), math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * one + (n - k) * other)
        for k in range(hits, n + 1)
    )


CHARTS = {
    "confusion": N_("Predicted labels against true labels"),
    "scores": N_("How unusual the pictures are, and the threshold"),
    "roc": N_("Recall against false alarms, at every threshold"),
    "pr": N_("Precision at every threshold"),
    "curves": N_("Precision against recall"),
    "boxes": N_("What it learned from"),
    "mistakes": N_("The worst mistakes"),
    "samples": N_("The same words without the style and with it; below, on the way"),
    "report": N_("The report as one picture"),
}
SHARES = (("found", N_("Marked objects found")), ("right", N_("Boxes that are right")))  # of a detector
PARTS = {"train": N_("Learned from"), "test": N_("Kept for testing")}


def describe_report(card: Card, report: Report) -> dict[str, Any]:
    """Return a report as its page shows it."""
    version, metrics = report.version, report.version.metrics
    files = f"/files/projects/{card.project.id}/versions/{version.number}"
    charts = [name for name in report.charts if name != "report" or len(report.charts) == 1]
    return {
        **describe_version(version),
        "sentences": [retold(sentence) for sentence in report.sentences if sentence],
        "exact": retold(report.exact),
        "charts": [
            {
                "name": name,
                "title": _(CHARTS.get(name, name.replace("-", " ").capitalize())),
                "src": f"{files}/{name}",
            }
            for name in charts
        ],
        "parts": [
            {"name": _(PARTS.get(part, part)), "labels": list(labels.items()), "total": sum(labels.values())}
            for part, labels in sorted(report.parts.items(), reverse=True)
        ],
        "shares": [
            _share(_(name), metrics[key])
            for key, name in (("accuracy", _("Right")), *(SHARES if card.project.task == DETECT else ()))
            if metrics.get(key)
        ],
        "labels": [
            {
                "name": name,
                "precision": _share(_("Precision"), told.get("precision", (0, 0))),
                "recall": _share(_("Recall"), told.get("recall", (0, 0))),
                "f1": told.get("f1"),
                "ap50": told.get("ap50"),
                "ap": told.get("ap"),
            }
            for name, told in metrics.get("labels", {}).items()
        ],
        "figures": [
            {"name": name, "value": f"{float(metrics[key]):.3f}"}
            for key, name in (
                ("roc", _("Area under the ROC curve")),
                ("pr", _("Area under the PR curve")),
                ("ece", _("Calibration error")),
                ("ap50", _("AP50, mean over labels")),
                ("ap", _("AP50-95, mean over labels")),
            )
            if isinstance(metrics.get(key), int | float)
        ],
        "has_threshold": version.threshold is not None
        and (card.project.task == DETECT or bool(metrics.get("good_scores"))),
    }


def _share(name: str, counted: Any) -> dict[str, Any]:
    """Return a share with the interval in which it may lie."""
    hits, n = int(counted[0]), int(counted[1])
    low, high = interval(hits, n)
    return {"name": name, "hits": hits, "n": n, "value": hits / n if n else None, "low": low, "high": high}
