"""Projects in Discord: what one is, what to do with it next, its label list and its versions, as texts,
buttons and windows.

Each text fits a message, and nobody's words in it can act as markdown or mention anybody. The ``custom_id``
of a button or menu is all its state, so it works for ever: ``pj:<project id>:<action>:<more>`` for buttons,
``pm:<project id>:<action>:<more>`` for menus. more: what the action is done to, such as the number of a
version or the SHA-256 of a picture.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.ui.buttons import MOST_OPTIONS, ButtonStyle, KeptItem, Rows, chosen_in, options_of, rows_of
from bot.ui.messages import cut_text, fit_message, quote
from bot.ui.modals import Submission, Window
from core.language import N_, _
from core.limits import MAX_LABEL
from core.requests.custom_models import ANOMALY, CLASSIFY, DETECT, STYLE
from core.results import TEST
from storage.projects.dataset import DISPUTED, LABELLED, LEFT_OUT, NEW
from storage.projects.projects import EVERYBODY, Project
from storage.projects.versions import ACTIVE, RETIRED, TAINTED, Version
from studio.projects.labels import Caption
from studio.projects.projects import DEFECT, FEW_GOOD, GOOD, LEAST_MARKED, MAX_FILES, Card
from studio.projects.trainings import LEAST_LABELLED, LEAST_STYLE, MOVES, Report
from studio.texts import counted

TASKS = {ANOMALY: "inspection", CLASSIFY: N_("own labels"), DETECT: "boxes", STYLE: "style"}
ENOUGH_NEW = 5  # labelled pictures since a version, for another to be worth its while
RIGHT_TO = {"try": "use"}  # action → the right that it needs, where that is called otherwise
LISTED = 20  # projects or versions of a message
NONE = N_(
    "There is no project here yet. Make one: `/inspect new` (defects, labels or objects) or `/style new` (a"
    " drawing style)."
)
DRAW = N_(
    "they are drawn on the project's page on the web, or come from a file by `/inspect import`: COCO, YOLO or"
    " CSV."
)
STATES = {
    ACTIVE: N_("in use"),
    RETIRED: N_("used before"),
    TAINTED: N_("gone: pictures it learned from were deleted"),
}
RIGHTS = {
    "use": N_("ask its model"),
    "add": N_("add pictures"),
    "label": "label",
    "train": "train",
    "export": N_("export labels and models"),
}


def name(project: Project) -> str:
    """Return a project's name in bold."""
    return f"**{quote(project.name, 80)}**"


def projects(found: Sequence[Project]) -> str:
    """Return which projects there are."""
    if not found:
        return _(NONE)
    lines = [f"{name(one)} · {_(TASKS[one.task])} · {_whose(one)}" for one in found[:LISTED]]
    more = len(found) - LISTED
    return fit_message("\n".join([*lines, *([_("-# and {more} more", more=more)] if more > 0 else [])]))


def card(found: Card) -> str:
    """Return a project as it is now, with the next thing to do."""
    project = found.project
    lines = [f"{name(project)} · {_(TASKS[project.task])} · {_whose(project)}", _pictures(found)]
    if project.voices > 1:
        lines.append(_("A label counts when {voices} people have given it.", voices=project.voices))
    if found.version is not None:
        lines.append(_("Version {number} is in use.", number=found.version.number))
    tally = found.tally
    if tally.verdicts:
        strange = (
            _(", {strange} not like the good ones", strange=tally.strange) if project.task == ANOMALY else ""
        )
        wrong = _(", {wrong} rated wrong", wrong=tally.wrong) if tally.wrong else ""
        lines.append(
            _(
                "-# {verdicts} of this version{strange}{wrong}",
                verdicts=counted(tally.verdicts, "verdict"),
                strange=strange,
                wrong=wrong,
            )
        )
    return fit_message("\n".join([*lines, f"➡️ {next_step(found)}"]))


def _whose(project: Project) -> str:
    return _("private to you") if project.guild_id is None else _("this server's")


def _pictures(found: Card) -> str:
    counts, states = (
        found.counts,
        {NEW: _("without a label"), DISPUTED: _("disputed"), LEFT_OUT: _("excluded")},
    )
    voted = _(" ({voiced} wait for more votes)", voiced=counts.voiced) if counts.voiced else ""
    if found.project.task == DETECT:
        boxes = ", ".join(f"{count} {quote(one, 40)}" for one, count in found.boxes.items())
        parts = [
            _(
                "{labelled} with boxes{word}",
                labelled=counts.states.get(LABELLED, 0),
                word=f" ({boxes})" if boxes else "",
            )
        ]
        states, voted = {NEW: _("without"), LEFT_OUT: _("excluded")}, ""
    else:
        order = sorted(counts.labels.items(), key=lambda pair: pair[0] != GOOD)
        parts = [f"{count} {quote(label, 40)}" for label, count in order]
    if found.project.task == STYLE:  # its labels are captions, one for each picture
        parts = []
        del states[NEW]
    parts += [f"{counts.states[state]} {said}" for state, said in states.items() if counts.states.get(state)]
    return f"{counted(counts.total, 'picture')}{': ' if parts else ''}{', '.join(parts)}{voted}"


def next_action(found: Card) -> str:
    """Return the action of the button to press next, of those that somebody may: add, label, train or try; ""
    while a version is being trained, or where there is none."""
    wanted = _wanted(found)
    if not wanted or RIGHT_TO.get(wanted, wanted) in found.may:
        return wanted
    tries = found.version is not None and found.project.task != STYLE and "use" in found.may
    return "try" if tries else ""


def _wanted(found: Card) -> str:
    counts, task = found.counts, found.project.task
    if found.training or found.project.due:
        return ""
    if task == STYLE:
        return "add" if counts.total < LEAST_STYLE else "train" if found.version is None else ""
    if _is_short(found):
        return "label" if unlabelled(found) else "add"
    if found.version is None or found.new >= ENOUGH_NEW:
        return "train"
    return "label" if unlabelled(found) else "try"


def _is_short(found: Card) -> bool:
    """Return whether labelled pictures are too few to train, or to train well."""
    labels = found.counts.labels
    if found.project.task == ANOMALY:
        return labels.get(GOOD, 0) < FEW_GOOD and found.version is None
    if found.project.task == DETECT:
        return found.counts.states.get(LABELLED, 0) < LEAST_MARKED or not found.boxes
    return sum(count >= LEAST_LABELLED for count in labels.values()) < 2


def unlabelled(found: Card) -> int:
    """Return how many pictures wait for a label of whoever looks."""
    if found.project.task == STYLE:
        return 0
    states = found.counts.states
    return states.get(NEW, 0) + states.get(DISPUTED, 0) - found.counts.said


def next_step(found: Card) -> str:
    """Return the next thing to do, as a sentence that names its button."""
    project, wanted = found.project, next_action(found)
    advice = found.advice if wanted == _wanted(found) and (wanted != "try" or "add" in found.may) else ""
    if found.project.due:
        return found.advice
    if found.training:
        return _("A version is being trained. Its message says when it is done.")
    if _wanted(found) and not wanted:
        return _("{advice} You don't have permission for the next step.", advice=found.advice).strip()
    if wanted == "add" and project.task == ANOMALY:
        return _(
            "Press **Add pictures** and choose good parts, up to 10 at a time. "
            "{advice} Parts with a defect aren't needed.",
            advice=advice,
        )
    if wanted == "add" and project.task == CLASSIFY:
        return _("Press **Add pictures**, up to 10 of one label at a time. {advice}", advice=advice)
    if wanted == "add" and project.task == DETECT:
        return _(
            "Press **Add pictures** and choose some that show the objects, up to 10 at a time. {advice}",
            advice=advice,
        )
    if wanted == "add":
        return _("Press **Add pictures**. {advice}", advice=advice)
    if wanted == "label" and project.task == DETECT:
        return _(
            "{pictures} without boxes: {draw} {advice}",
            pictures=counted(unlabelled(found), "picture"),
            draw=_(DRAW),
            advice=advice,
        ).strip()
    if wanted == "label":
        count = counted(unlabelled(found), "picture")
        return _(
            "Press **Label**: {count} without one. {advice}",
            count=count,
            advice="" if found.version else advice,
        ).strip()
    if wanted == "train" and found.version is None:
        good = found.counts.labels.get(GOOD, 0)
        if project.task == ANOMALY and 0 < good < 20:
            return _("Press **Train** ({good} good ones are enough to begin; 20 are better).", good=good)
        return _("Press **Train**.")
    if wanted == "train":
        return _("Press **Train**: {since}.", since=found.since)
    if project.task == STYLE:
        return _("Write it into a prompt: `/imagine prompt:a boat --lora {name}`", name=project.name)
    return _("Press **Try** and give it a picture. {advice}", advice=advice).strip()


def label_list(found: Card) -> str:
    """Return a project's label list."""
    counts = found.counts.labels
    lines = [
        f"**{quote(one.name, 80)}** · {counts.get(one.name, 0)}"
        f"{f': {quote(one.meaning, 300)}' if one.meaning else ''}"
        for one in found.book
    ]
    how = _("-# `add` adds one or changes what it means; `drop` removes one.")
    return fit_message(
        "\n".join([_("Labels of {project}", project=name(found.project)), *(lines or [_("None yet.")]), how])
    )


def report(project: Project, found: Report) -> str:
    """Return what is known of a version."""
    version = found.version
    head = _(
        "{project} · version {number} · {version}",
        project=name(project),
        number=version.number,
        version=_state(version),
    )
    parts = [
        f"-# {(_('tested on') if part == TEST else _('learned from'))} "
        + ", ".join(f"{count} {quote(label, 40) or _('without a label')}" for label, count in labels.items())
        for part, labels in sorted(found.parts.items(), reverse=True)
        if labels
    ]
    exact = [f"-# {quote(found.exact, 400)}"] if found.exact else []
    return fit_message("\n".join([head, *(quote(one, 400) for one in found.sentences), *exact, *parts]))


def _state(version: Version) -> str:
    return _(STATES.get(version.state, N_("not used yet")))


def versions(project: Project, found: Sequence[Version]) -> str:
    """Return a project's versions, the newest first."""
    if not found:
        group = "style" if project.task == STYLE else "inspect"
        return _(
            "{project} has no version yet. Press **Train** under `/{group} show`.",
            project=name(project),
            group=group,
        )
    lines = [
        f"**{one.number}** {_state(one)} · {one.at:%Y-%m-%d} ·"
        f" {quote(str(one.metrics.get('sentence', '')), 200)}".rstrip(" ·")
        for one in found[:LISTED]
    ]
    return fit_message("\n".join([_("Versions of {project}", project=name(project)), *lines]))


def shared(project: Project) -> str:
    """Return who may do what with a server's project, beside its owner and the server's managers."""
    by_role: dict[int, list[str]] = {}
    for role, right in sorted(project.granted):
        by_role.setdefault(role, []).append(_(RIGHTS[right]))
    lines = [
        f"{(_('Every member') if role == EVERYBODY else f'<@&{role}>')}: {', '.join(rights)}"
        for role, rights in by_role.items()
    ]
    head = _("{project}: its owner and anyone with Manage Server can do everything.", project=name(project))
    return fit_message("\n".join([head, *(lines or [_("Nobody else can do anything with it.")])]))


Style = discord.ButtonStyle
LOOKS: dict[str, ButtonStyle] = {
    "show": ButtonStyle(N_("Project"), "🗂️"),
    "add": ButtonStyle(N_("Add pictures"), "➕"),
    "label": ButtonStyle(N_("Label"), "🏷️"),
    "train": ButtonStyle(N_("Train"), "🎓"),
    "try": ButtonStyle(N_("Try"), "🔍"),
    "report": ButtonStyle(N_("Report"), "📊"),
    "captions": ButtonStyle(N_("Captions"), "💬"),
    "describe": ButtonStyle(N_("Write captions"), "✍️"),
    "use": ButtonStyle(N_("Use it"), "✅"),
    "stricter": ButtonStyle(N_("Stricter")),
    "looser": ButtonStyle(N_("Looser")),
    "usual": ButtonStyle(N_("Usual")),
    "fewest": ButtonStyle(N_("Fewest errors")),
    **{f"keep{move}": ButtonStyle(N_("Keep this limit"), None, Style.success) for move in MOVES},
    "bundle": ButtonStyle(N_("Bundle"), "📦"),
    "chart": ButtonStyle(N_("Chart")),
    "compare": ButtonStyle(N_("Compare")),
    "forget": ButtonStyle(N_("Delete it for good"), "🗑️", Style.danger),
    "skip": ButtonStyle(N_("Skip"), "⏭️"),
    "back": ButtonStyle(N_("Back"), "⏮️"),
    "leave": ButtonStyle(N_("Exclude"), "🚫"),
    "newlabel": ButtonStyle(N_("New label"), "✏️"),
    "done": ButtonStyle(N_("Done"), "🏁"),
    "look": ButtonStyle(N_("Scan with the model first"), "🤖"),
    "cameras": ButtonStyle(N_("Cameras"), "📷"),
    "watchon": ButtonStyle(N_("Turn on"), "▶️"),
    "watchoff": ButtonStyle(N_("Turn off"), "⏸️"),
    "watchend": ButtonStyle(N_("Remove with its pictures"), "🗑️"),
}
MARK = "mark"  # of a label, by its hash: its place in the list may be another's by the time it is pressed


class ProjectButton(
    KeptItem, template=r"pj:(?P<project>[a-z2-9]{12}):(?P<action>[a-z0-9]+):(?P<more>[a-z0-9-]{0,70})"
):
    """A button of a project."""

    def __init__(
        self,
        project: str,
        action: str,
        more: str | int = "",
        *,
        label: str | None = None,
        next_step: bool = False,
        row: int | None = None,
    ) -> None:
        look = LOOKS.get(action, ButtonStyle(action))
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=cut_text(label or _(look.label or ""), 80),
            emoji=look.emoji,
            style=Style.success if next_step else look.style,
            custom_id=f"pj:{project}:{action}:{more}",
            row=row,
        )
        super().__init__(button)
        self.project, self.action, self.more = project, action, str(more)

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        await client.projects.on_press(interaction, self.project, self.action, self.more, "")


class ProjectMenu(
    KeptItem, template=r"pm:(?P<project>[a-z2-9]{12}):(?P<action>[a-z]+):(?P<more>[a-z0-9]{0,64})"
):
    """Chooses one of several in a project. options: value → what it is."""

    def __init__(
        self,
        project: str,
        action: str,
        more: str = "",
        options: Mapping[str, str] | None = None,
        *,
        hint: str = "",
        row: int | None = None,
    ) -> None:
        made = options_of(options or {"-": "-"})
        menu: discord.ui.Select[Any] = discord.ui.Select(
            custom_id=f"pm:{project}:{action}:{more}",
            options=made,
            placeholder=cut_text(hint, 150) or None,
            row=row,
        )
        super().__init__(menu)
        self.project, self.action, self.more = project, action, more

    async def _press(self, client: Any, interaction: discord.Interaction[Any]) -> None:
        value = next(iter(chosen_in(interaction)), "")
        await client.projects.on_press(interaction, self.project, self.action, self.more, value)


DYNAMIC_ITEMS = (ProjectButton, ProjectMenu)


def mark_of(label: str) -> str:
    """Return the action of a label's button."""
    return f"{MARK}{zlib.crc32(label.encode()):08x}"


ADD, TRY, NAME, WRONG, MENU_ADD, MENU_TRY = "pjadd", "pjtry", "pjname", "pjwrong", "pjmenuadd", "pjmenutry"
CAPTION = "pjcaption"
MOST_FILES = 10  # of a window
UNLABELLED = "none"  # the option that is no label


def add_window(found: Card, label: str = "", *, together: bool = False) -> Window:
    """Return the window that brings pictures into a project. label, together: what its fields say first."""
    project = found.project
    window = Window(_("Add pictures to {name}", name=project.name), ADD, project.id, 0)
    inside = _("with a file of boxes in it if there is one")
    inside = inside if project.task == DETECT else _("whose folders are labels")
    many = _(
        "Up to {most_files} at once, or a ZIP file of up to {max_files}, {inside}",
        most_files=MOST_FILES,
        max_files=MAX_FILES,
        inside=inside,
    )
    window.add_upload(_("Pictures"), "pictures", many, least=1, most=MOST_FILES)
    if project.task == STYLE:
        return window
    tick = (_("Pictures of the same object"), "together", _("Kept together in training or testing"))
    if project.task == DETECT:
        return window.add_tick(*tick, ticked=together)
    labels = [one.name for one in found.book]
    label = label.strip() or (GOOD if project.task == ANOMALY else "")
    options = _options(labels, _("Label them later, one by one"))
    known = _value(label) in options
    window.add_choice(_("They show"), "label", options, chosen=_value(label) if known else UNLABELLED)
    typed = "" if known else label
    window.add_text(_("Or a new label"), "new", typed, required=False, hint=_hint(project), most=MAX_LABEL)
    return window.add_tick(*tick, ticked=together)


def try_window(found: Card, number: int | None) -> Window:
    """Return the window that brings pictures to a model. number: of the version, None = the one in use."""
    title = _("Try {name}", name=found.project.name)
    window = Window(title, TRY, found.project.id, 0, str(number or ""))
    return window.add_upload(
        _("Pictures"),
        "pictures",
        _("Up to {most_files} at once", most_files=MOST_FILES),
        least=1,
        most=MOST_FILES,
    )


def name_window(project: str, sha256: str) -> Window:
    """Return the window that names a label of a picture that the label list doesn't have."""
    return Window(_("New label"), NAME, project, 0, sha256).add_text(_("Label"), "label", most=MAX_LABEL)


def captions(project: Project, found: Sequence[Caption]) -> str:
    """Return what the pictures of a style are said to show."""
    lines = [
        f"**{number}** {quote(one.text, 80) or _('none yet')}"
        f"{_(' (written by the studio)') if one.text and one.is_written else ''}"
        for number, one in enumerate(found, 1)
    ]
    how = _(
        "-# A caption says what differs: subject and place. What all pictures share is the style: leave it"
        " out. Empty captions are written in the training."
    )
    return fit_message("\n".join([_("Captions of {project}", project=name(project)), *lines, how]))


def caption_menus(project: Project, found: Sequence[Caption]) -> Rows:
    """Return the menus that choose a picture, whose caption is then changed."""
    options = {
        one.item.sha256: f"{number} · {one.text or _('none yet')}" for number, one in enumerate(found, 1)
    }
    names = list(options)
    some = any(not one.text for one in found)
    lacking = [ProjectButton(project.id, "describe", row=-(-len(names) // MOST_OPTIONS))] if some else []
    pages = [names[first : first + MOST_OPTIONS] for first in range(0, len(names), MOST_OPTIONS)]
    return rows_of(
        *(
            ProjectMenu(
                project.id,
                "caption",
                str(row),
                {name: options[name] for name in page},
                hint=_("Change a caption"),
                row=row,
            )
            for row, page in enumerate(pages)
        ),
        *lacking,
        ProjectButton(project.id, "show", row=len(pages)),
    )


def caption_window(project: str, found: Caption) -> Window:
    """Return the window that changes the caption of a picture."""
    window = Window(_("Caption"), CAPTION, project, 0, found.item.sha256)
    return window.add_text(
        _("It shows"), "label", found.text, required=False, hint=_("a boat at sea"), most=MAX_LABEL
    )


def wrong_window(job_id: str, found: Card, count: int, *, strange: bool) -> Window:
    """Return the window for what a verdict should have been. count: of the job's pictures. strange: the only
    verdict was that it isn't like the good ones."""
    window = Window(_("What is it really?"), WRONG, job_id, 0)
    if count > 1:
        window.add_text(_("Number of the picture"), "number", hint=_("1 to {count}", count=count), most=3)
    if found.project.task == DETECT:
        return window
    labels = [one.name for one in found.book]
    is_inspection = found.project.task == ANOMALY
    if is_inspection and labels == [GOOD]:
        labels.append(DEFECT)
    first = (
        GOOD if strange and is_inspection else next((label for label in labels if label != GOOD), UNLABELLED)
    )
    options = _options(labels, _("None of these"))
    chosen = _value(first) if _value(first) in options else UNLABELLED
    window.add_choice(_("It is"), "label", options, chosen=chosen)
    return window.add_text(
        _("Or a new label"), "new", required=False, hint=_hint(found.project), most=MAX_LABEL
    )


def menu_window(what: str, draft_id: str, projects: Sequence[Project]) -> Window:
    """Return the window that says to which project a message's pictures go. what: ADD or TRY of a menu."""
    title = _("Add to project") if what == MENU_ADD else _("Inspect")
    window = Window(title, what, draft_id, 0)
    window.add_choice(_("Project"), "project", {one.id: one.name for one in projects[:MOST_OPTIONS]})
    if what == MENU_ADD:
        window.add_text(_("Label"), "label", required=False, hint=_("good (empty: later)"), most=MAX_LABEL)
    return window


def label_of_window(sent: Submission) -> str:
    """Return the label of a window's two fields: the one that was typed, or else the one that was chosen."""
    value = sent.chosen("label")
    return sent.text("new") or (value.removeprefix("l:") if value.startswith("l:") else "")


def _options(labels: Sequence[str], none: str) -> dict[str, str]:
    return {_value(label): label for label in labels[: MOST_OPTIONS - 1]} | {UNLABELLED: none}


def _value(label: str) -> str:
    return f"l:{label}"


def _hint(project: Project) -> str:
    return "scratch" if project.task == ANOMALY else "oak"
