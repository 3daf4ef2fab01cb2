"""docs/parameters.md is held to the code: a row for every flag, command and menu, and each row's test
exists."""

import ast
import re

from bot.client import Atelier
from bot.discord_api import private_api
from bot.ui import help
from core.prompt.parser import FLAGS
from core.settings import ROOT
from tests.bot.conftest import Studio

PAGE = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


def _tests(named: set[str]) -> set[str]:
    """Those of the names that are tests."""
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    trees = (ast.parse(text) for text in texts if named & set(re.findall(r"def (test_\w+)", text)))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, kinds) and node.name.startswith("test_")
    }


def test_every_flag_has_a_row_with_all_its_names_and_its_help() -> None:
    for flag in FLAGS:
        names = ", ".join(f"`--{name}`" for name in (flag.name, *flag.aliases))
        assert any(row.startswith(f"| {names} | {flag.help.replace('|', '/')} |") for row in ROWS), flag.name


def test_what_means_nothing_here_has_its_reason_in_its_row() -> None:
    for flag in FLAGS:
        row = next(row for row in ROWS if row.startswith(f"| `--{flag.name}`"))
        reason = row.split(" | ")[2]
        assert reason == flag.unsupported or not flag.unsupported, flag.name


def test_every_row_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    known = _tests(named)
    assert len(named) > 30 and named <= known, named - known
    assert all("`test_" in row for row in ROWS)


async def test_every_command_and_menu_has_a_row_and_a_page_of_help(studio: Studio) -> None:
    bot: Atelier = studio.bot
    commands = {command.name for command in bot.tree.get_commands(type=None) if not hasattr(command, "type")}
    menus = {name for name, _, _ in private_api.context_menus(bot.tree)}
    named = {row.split("`")[1] for row in ROWS}
    assert {f"/{name}" for name in commands} <= named and menus <= named
    assert commands == set(help.COMMANDS)


def test_help_tells_where_pictures_are_found_kept_shared_and_thrown_away() -> None:
    [overview] = help.lines(None)
    for name in ("search", "folders", "shares", "trash"):
        assert name in overview and name in help.topics()
        [text] = help.lines(name)
        assert name in text.lower() and ("`/web`" in text or name == "search")
    assert len(overview) <= 2000, "one message of Discord's"
