"""The page of who may do what, from the table that every door asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from studio.authority import TABLE, Action, Role, Row
from tools.docs.markdown import code, page, sentence, table

INTRO = """\
One table decides who may do what, in Discord, on the web and through the HTTP API. Somebody who is \
banned or in a time-out may do nothing, except where *also when banned* says so. Managers and the host \
keep their rights over others."""
NAMES = {
    Role.ANYONE: "anyone",
    Role.AUTHOR: "the author",
    Role.MEMBER: "members who can read the channel",
    Role.MANAGER: "Manage Server",
    Role.OPERATOR: "Manage Server of a home server",
    Role.HOST: "the host",
    Role.GRANTED: "roles that have the right",
}
WHO = """\
| who | what it means |
| --- | --- |
| anyone | everybody who can use Atelier there |
| the author | who asked for the job, or made the project |
| members who can read the channel | those who can read a channel of the server where the result is |
| Manage Server | members with this permission, in the server where the job was asked for |
| Manage Server of a home server | the same in a server of `HOME_GUILD_IDS`, or in the bot's only server |
| the host | the owner of the Discord application, and `OWNER_IDS` |
| roles that have the right | members with a role to which the project's owner gave the right |"""
ACTIONS = {
    Action.PICK: "post one picture alone (U)",
    Action.VARY: "vary, redraw a region, edit by words",
    Action.REROLL: "run the prompt again",
    Action.REMIX: "draw it with other words",
    Action.UPSCALE: "upscale",
    Action.CUT_OUT: "remove the background",
    Action.ZOOM: "zoom out, make square",
    Action.PAN: "extend to one side",
    Action.DESCRIBE: "have prompts suggested",
    Action.CLASSIFY: "have it classified",
    Action.READ: "have its text read",
    Action.BLEND: "blend with others",
    Action.IMAGINE: "draw a suggested prompt",
    Action.ASK_MORE: "continue a conversation",
    Action.USE: "use as the source of a command",
    Action.ANIMATE: "make a video from a picture",
    Action.EXTEND: "extend or loop a video",
    Action.REMIX_VIDEO: "redraw a video",
    Action.CUT: "cut a video, take a frame",
    Action.SHOW: "show a job again",
    Action.DETAILS: "see prompt, seed and parameters",
    Action.DM: "get it as a direct message",
    Action.FAVOURITE: "keep as a favourite",
    Action.RATE: "say whether an answer is right",
    Action.CANCEL: "cancel a job",
    Action.DELETE: "delete a result",
    Action.SHARE: "make a link that shows it",
    Action.ORGANISE: "put into folders and the trash",
    Action.FRONT: "let a job run next",
    Action.SEE_PROJECT: "see a project",
    Action.ADD_TO: "add pictures to a project",
    Action.LABEL: "label its pictures",
    Action.TRAIN: "train a version",
    Action.JUDGE: "ask its model",
    Action.EXPORT: "export labels and bundles",
    Action.MANAGE_PROJECT: "change name, rights, labels, limit and version",
    Action.FORGET_PROJECT: "delete a project",
    Action.ASK: "ask for a job from words or an attached picture",
    Action.SETTINGS: "change your settings",
    Action.MINE: "see your jobs and usage",
    Action.PRIVACY: "see, export and delete your data",
    Action.HELP: "read the help",
    Action.QUEUE: "see and clear the server's queue",
    Action.RULES: "set bans, lists and limits of the server",
    Action.MODERATE: "set filters, strikes and time-outs",
    Action.OPERATE: "pause, resume and drain the whole queue",
}


def roles(these: Role) -> str:
    """Return the names of roles, with commas between them."""
    return ", ".join(NAMES[role] for role in these)


def _what(action: Action) -> str:
    words = sentence(ACTIONS[action], action).rstrip(".")
    return words[0].upper() + words[1:]


def _rows(chosen: Mapping[Action, Row]) -> Iterator[tuple[str, ...]]:
    """Yield what can be done, by whom with a public and with a private one, and whether also when banned;
    actions of the same people together."""
    together: dict[tuple[Role, Role, bool], list[Action]] = {}
    for action, row in chosen.items():
        together.setdefault((row.public, row.private, row.barred), []).append(action)
    for (public, private, barred), actions in together.items():
        what = "<br>".join(_what(action) for action in actions)
        yield what, roles(public), roles(private), "yes" if barred else ""


def rights_page() -> str:
    """Return the page. Raises ValueError for an action that nothing is said of."""
    if missing := TABLE.keys() ^ ACTIONS.keys():
        raise ValueError(f"actions without a sentence: {missing}")
    jobs = {action: row for action, row in TABLE.items() if row.job}
    projects = {action: row for action, row in TABLE.items() if row.project}
    others = {action: row for action, row in TABLE.items() if not row.job and not row.project}
    rights = [
        (_what(action), code(*sorted(row.right))) for action, row in projects.items() if len(row.right) == 1
    ]
    return page(
        "Rights",
        INTRO,
        WHO,
        "## With a job",
        table(("what", "with a public job", "with a private job", "also when banned"), _rows(jobs)),
        "## With a custom model",
        table(("what", "in a server's project", "in your own project", "also when banned"), _rows(projects)),
        "A role gets these rights by `/inspect share`. With any of them its members see the project.",
        table(("what", "right"), rights),
        "## Without a job",
        table(
            ("what", "who", "also when banned"),
            [(what, who, barred) for what, who, _, barred in _rows(others)],
        ),
    )
