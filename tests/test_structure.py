"""The shape of the program, held by tests: who imports whom, what the bot's process loads, which tuples name
which files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cogs import EXTENSIONS
from core.settings import ROOT, env_example

MAY_IMPORT = {  # folder → our folders it may import besides itself
    "core": set(),
    "vision": {"core"},
    "storage": {"core"},
    "jobs": {"core", "vision", "storage"},
    "studio": {"core", "vision", "storage", "jobs"},
    "bot": {"core", "vision", "storage", "jobs", "studio"},
    "host": {"core", "vision", "storage", "jobs", "studio", "bot"},
    "demo": {"core", "vision"},
}
MAY_NOT_LOAD = {
    "core": {"torch", "discord"},
    "jobs": {"torch", "discord"},
    "storage": {"torch", "discord"},
    "bot": {"torch", "diffusers"},
}
BOT_FILES = [
    p.relative_to(ROOT).with_suffix("")
    for p in (ROOT / "bot").rglob("*.py")
    if p.stem not in ("__init__", "__main__")
]
BOT_MODULES = sorted(".".join(p.parts) for p in BOT_FILES)


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_point_one_way(folder: str) -> None:
    others = set(MAY_IMPORT) - MAY_IMPORT[folder] - {folder}
    wrong = {
        str(p.relative_to(ROOT)): sorted(_imports(p) & (others | MAY_NOT_LOAD.get(folder, set())))
        for p in (ROOT / folder).rglob("*.py")
    }
    assert {path: names for path, names in wrong.items() if names} == {}


def test_importing_the_whole_bot_loads_no_tensor_library() -> None:
    code = (
        f"import sys, {', '.join(BOT_MODULES)}; print(sorted({{'torch', 'diffusers', 'transformers',"
        " 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_extensions_are_the_files_of_the_folder() -> None:
    folder = ROOT / "bot" / "cogs"
    files = {
        ".".join(("bot", "cogs", *p.relative_to(folder).with_suffix("").parts))
        for p in folder.rglob("*.py")
        if p.stem != "__init__"
    }
    assert set(EXTENSIONS) == files
    assert len(EXTENSIONS) == len(files)


def test_every_capability_has_its_file_and_its_cog() -> None:
    from core.requests import REQUESTS

    kinds = {cls.kind for cls in REQUESTS}
    capabilities = {p.stem for p in (ROOT / "vision" / "capabilities").glob("*.py") if p.stem != "__init__"}
    cogs = {p.stem for p in (ROOT / "bot" / "cogs").glob("*.py")}
    assert capabilities <= kinds
    assert capabilities <= cogs


def test_the_example_of_settings_is_complete_and_shows_the_defaults() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_command_line_answers_help_without_loading_anything_heavy() -> None:
    heavy = {"discord", "torch", "sqlalchemy", "PIL", "simcord"}
    code = (
        "import sys\nfrom host.cli import main\ntry: main(['--help'])\nexcept SystemExit:"
        f" pass\nprint(sorted({heavy} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith("[]")
    assert "doctor" in run.stdout
