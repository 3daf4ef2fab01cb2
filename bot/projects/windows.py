"""The windows of projects: to add pictures, to try some, to name a label, and to say what a verdict should
have been."""

from __future__ import annotations

from collections.abc import Sequence

from bot.ui.windows import Window
from core.limits import MAX_LABEL
from core.requests.custom_models import ANOMALY, DETECT, STYLE
from storage.projects.projects import Project
from studio.projects.projects import GOOD, MAX_FILES, Card

ADD, TRY, NAME, WRONG, MENU_ADD, MENU_TRY = "pjadd", "pjtry", "pjname", "pjwrong", "pjmenuadd", "pjmenutry"
WINDOWS = (ADD, TRY, NAME, WRONG, MENU_ADD, MENU_TRY)
MOST_FILES = 10  # of a window
MOST_OPTIONS = 25  # of a list in a window
DEFECT = "defect"  # what is offered while nobody has named one
UNLABELLED = "none"  # the option that is no label


def add_window(found: Card) -> Window:
    """Return the window that brings pictures into a project."""
    project = found.project
    window = Window(f"Add pictures to {project.name}", ADD, project.id, 0)
    inside = (
        "with a file of boxes in it if there is one" if project.task == DETECT else "whose folders are labels"
    )
    many = f"Up to {MOST_FILES} at once, or a ZIP file of up to {MAX_FILES}, {inside}"
    window.add_upload("Pictures", "pictures", many, most=MOST_FILES)
    if project.task == STYLE:
        return window
    if project.task == DETECT:
        return window.add_tick("Shots of one thing", "together", "Learned from or tested on as one")
    labels = [one.name for one in found.book]
    chosen = _value(GOOD) if project.task == ANOMALY else UNLABELLED
    options = _options(labels, "I'll say so later, picture by picture")
    window.add_choice("They show", "label", options, chosen=chosen if chosen in options else UNLABELLED)
    window.add_text("Or a new label", "new", required=False, hint=_hint(project), most=MAX_LABEL)
    return window.add_tick("Shots of one thing", "together", "Learned from or tested on as one")


def try_window(found: Card, number: int | None) -> Window:
    """Return the window that brings pictures to a model. number: of the version, None = the one in use."""
    title = f"Try {found.project.name}"
    window = Window(title, TRY, found.project.id, 0, str(number or ""))
    return window.add_upload("Pictures", "pictures", f"Up to {MOST_FILES} at once", most=MOST_FILES)


def name_window(project: str, sha256: str) -> Window:
    """Return the window that names a label of a picture that the book doesn't have."""
    return Window("New label", NAME, project, 0, sha256).add_text("Label", "label", most=MAX_LABEL)


def wrong_window(job_id: str, found: Card, count: int, *, strange: bool) -> Window:
    """Return the window for what a verdict should have been. count: of the job's pictures. strange: the only
    verdict was that it isn't like the good ones."""
    window = Window("What is it really?", WRONG, job_id, 0)
    if count > 1:
        window.add_text("Number of the picture", "number", hint=f"1 to {count}", most=3)
    if found.project.task == DETECT:
        return window
    labels = [one.name for one in found.book]
    is_inspection = found.project.task == ANOMALY
    if is_inspection and labels == [GOOD]:
        labels.append(DEFECT)
    first = (
        GOOD if strange and is_inspection else next((label for label in labels if label != GOOD), UNLABELLED)
    )
    options = _options(labels, "Nothing of these")
    chosen = _value(first) if _value(first) in options else UNLABELLED
    window.add_choice("It is", "label", options, chosen=chosen)
    return window.add_text("Or a new label", "new", required=False, hint=_hint(found.project), most=MAX_LABEL)


def menu_window(what: str, draft_id: str, projects: Sequence[Project]) -> Window:
    """Return the window that says to which project a message's pictures go. what: ADD or TRY of a menu."""
    title = "Add to project" if what == MENU_ADD else "Inspect"
    window = Window(title, what, draft_id, 0)
    window.add_choice("Project", "project", {one.id: one.name for one in projects[:MOST_OPTIONS]})
    if what == MENU_ADD:
        window.add_text("Label", "label", required=False, hint="good; nothing: later", most=MAX_LABEL)
    return window


def label_of(value: str, typed: str) -> str:
    """Return the label of a window's two fields: the one that was typed, or else the one that was chosen."""
    return typed or (value.removeprefix("l:") if value.startswith("l:") else "")


def _options(labels: Sequence[str], none: str) -> dict[str, str]:
    return {_value(label): label for label in labels[: MOST_OPTIONS - 1]} | {UNLABELLED: none}


def _value(label: str) -> str:
    return f"l:{label}"


def _hint(project: Project) -> str:
    return "scratch" if project.task == ANOMALY else "oak"
