"""The page of the command line, from what reads it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from host.cli import parser
from tools.docs.markdown import code, page, sentence, table

INTRO = """\
In a clone, the program is `.venv/bin/atelier`; in a container, `docker compose exec atelier atelier`. \
Without a command it starts, as `atelier run` does. It exits with 0 if all is well, 1 if a check failed \
or a start was refused, 2 for a wrong setting or argument."""


def _arguments(command: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        shown = ", ".join(action.option_strings) or action.dest
        takes = (
            ""
            if action.nargs == 0 or not action.option_strings
            else f" {action.metavar or action.dest.upper()}"
        )
        required = " (required)" if action.required and action.option_strings else ""
        yield code(f"{shown}{takes}") + required, sentence(action.help, f"atelier {name} {shown}")


def _commands(of: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    """Yield the section of each command, and of those in it."""
    for group in (one for one in of._actions if isinstance(one, argparse._SubParsersAction)):
        about = {one.dest: one.help for one in group._choices_actions}
        for name, command in group.choices.items():
            whole = f"{before}{name}"
            rows = list(_arguments(command, whole))
            parts = [f"## {code(f'atelier {whole}')}", sentence(about[name], f"atelier {whole}")]
            if example := (command.epilog or "").removeprefix("For example: "):
                parts.append(f"```sh\n{example}\n```")
            if rows:
                parts.append(table(("argument", "what it does"), rows))
            yield "\n\n".join(parts)
            yield from _commands(command, f"{whole} ")


def cli_page() -> str:
    """Return the page."""
    return page("Command line", INTRO, *_commands(parser()))
