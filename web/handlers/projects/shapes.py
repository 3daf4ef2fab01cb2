"""What is told of projects, as pages and programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.grammar.stored_loras import lora_name
from core.requests.own_models import ANOMALY, CLASSIFY, DETECT, MARKED, STYLE
from storage.projects.items import DISPUTED, LABELLED, LEFT_OUT, NEW, Item, Mark
from storage.projects.results import Judged
from storage.projects.rows import EVERYBODY, RIGHTS, Project
from storage.projects.versions import Version
from studio.projects.shelf import GOOD, Card

KINDS = {ANOMALY: "Inspection", CLASSIFY: "Classifier", DETECT: "Boxes", STYLE: "Style"}
STATES = {NEW: "no label yet", LABELLED: "labelled", DISPUTED: "disputed", LEFT_OUT: "left out"}


def project(found: Project) -> dict[str, Any]:
    """Return a project as a list shows it."""
    return {
        "id": found.id,
        "name": found.name,
        "task": found.task,
        "kind": KINDS[found.task],
        "shared": found.guild_id is not None,
        "href": f"/projects/{found.id}",
    }


def card(found: Card) -> dict[str, Any]:
    """Return a project with what there is of it."""
    counted = found.boxes if found.project.task == DETECT else found.counts.labels
    return {
        **project(found.project),
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
        "advice": found.advice,
        "may": sorted(found.may),
    }


def granted(found: Project, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return what each role was given, every member's first. names: of the server's roles, by id."""
    roles = sorted({EVERYBODY, *(role for role, _ in found.granted)})
    return [
        {
            "role": str(role),
            "name": names.get(role, f"Role {role}") if role else "Every member",
            "rights": [right for right in RIGHTS if (role, right) in found.granted],
        }
        for role in roles
    ]


def item(project_id: str, found: Item, reader: int) -> dict[str, Any]:
    """Return a picture of a project as ``reader`` (a user id) sees it."""
    files = f"/files/projects/{project_id}/{found.sha256}"
    return {
        "id": found.sha256,
        "label": found.label,
        "state": found.state,
        "said": "boxes drawn" if found.label == MARKED else found.label or STATES[found.state],
        "mine": found.user_id == reader,
        "small": f"{files}.webp",
        "whole": f"{files}.png",
    }


def marked(project_id: str, sha256: str, word: Mark | None, reader: int) -> dict[str, Any] | None:
    """Return what somebody calls a picture, and where they see that; None for nothing."""
    if word is None:
        return None
    mask = word.mask and f"/files/projects/{project_id}/{sha256}/masks/{word.mask}.png"
    boxes, mine = [list(box) for box in word.boxes], word.user_id == reader
    return {"label": word.label, "boxes": boxes, "mask": mask, "mine": mine}


def version(found: Version) -> dict[str, Any]:
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


def verdict(judged: Judged, said: Mapping[str, Any], thumb: str | None) -> dict[str, Any]:
    """Return a verdict. said: as its job's result has it. thumb: where its picture is, small."""
    return {
        "position": judged.position,
        "version": judged.number,
        "thumb": thumb,
        "strange": judged.strange,
        "label": judged.label,
        "score": judged.score,
        "sentence": str(said.get("sentence", "")),
        "names": [[str(name), float(share)] for name, share in said.get("names", ())],
        "answer": {None: None, True: "right", False: "wrong"}[judged.is_right],
    }
