"""The shape of the front end, held without a browser: size, imports, vendored files, types."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from core.language import LANGUAGES, SOURCE
from core.settings import ROOT
from web.static_files import StaticFiles

STATIC = ROOT / "web" / "static"
FOLDERS = ("js", "editor", "projects")
MODULES = {
    path.resolve(): path.read_text() for name in FOLDERS for path in sorted((STATIC / name).rglob("*.js"))
}
EDITOR = ("app.css", "early.js", "icons.svg", "favicon.svg", "fonts/inter-latin.woff2", "editor.css")
_IMPORT = re.compile(r'^(?:import|export) (?:[^"@;]*? from )?"(\.[^"]+)"', re.M)
CREATE = ("app.css", "early.js", "icons.svg", "favicon.svg", "fonts/inter-latin.woff2")
GALLERY = (*CREATE, "gallery.css")


def imports(path: Path) -> list[Path]:
    return [(path.parent / found).resolve() for found in _IMPORT.findall(path.read_text())]


def sent(entry: str, others: tuple[str, ...]) -> int:
    """Return the bytes that a page's files are on the wire."""
    files = StaticFiles()
    found = [files.get(name) for name in (*files.modules(entry), *others)]
    return sum(len(file.packed or file.data) for file in found if file is not None)


def test_every_import_leads_to_a_file() -> None:
    assert {
        f"{path.name}: {found}" for path in MODULES for found in imports(path) if not found.is_file()
    } == set()


def test_a_page_names_every_module_it_needs_also_those_that_a_module_of_its_imports() -> None:
    files = StaticFiles()
    for entry in ("js/stream.js", "js/pictures.js"):
        named = files.modules(entry)
        assert {"vendor/lit-html/lit-html.js", "js/core/text.js"} <= {*named}
        assert all(files.get(name) for name in named)


def test_browsers_get_the_texts_of_every_language_and_no_settings_of_tools() -> None:
    files = StaticFiles()
    for code in set(LANGUAGES) - {SOURCE}:
        found = files.get(f"languages/{code}.json")
        assert found is not None and found.media_type.startswith("application/json")
        assert len(found.packed or found.data) < 40_000
    assert files.get("tsconfig.json") is None


def test_modules_import_in_one_direction() -> None:
    done: set[Path] = set()

    def visit(path: Path, way: tuple[Path, ...]) -> None:
        assert path not in way, " → ".join(step.name for step in (*way, path))
        if path not in done:
            for found in imports(path):
                visit(found, (*way, path))
            done.add(path)

    for path in MODULES:
        visit(path, ())


def test_every_module_says_first_what_it_is_for() -> None:
    assert {path.name for path, text in MODULES.items() if not text.startswith("// ")} == set()


def test_what_a_page_loads_is_small() -> None:
    assert sent("js/stream.js", CREATE) <= 64_500
    assert sent("js/pictures.js", GALLERY) <= 76_000
    assert sent("editor/edit.js", EDITOR) <= 100_000


def test_vendored_files_are_those_that_were_published() -> None:
    folder = STATIC / "vendor" / "lit-html"
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert found == sums


def test_no_module_or_page_writes_markup_from_text() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    forbidden = re.compile(markup + r"|\|\s*safe\b|\son\w+=\"|style=\"")
    pages = {path: path.read_text() for path in (ROOT / "web" / "templates").rglob("*.html")}
    assert {path.name for path, text in (MODULES | pages).items() if forbidden.search(text)} == set()


@pytest.mark.slow
def test_types_hold_without_any() -> None:
    assert {
        path.name for path, text in MODULES.items() if re.search(r"@\w+ \{[^}]*\bany\b|@ts-", text)
    } == set()
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("Node is missing")
    checker = [npx, "--offline", "--yes", "-p", "typescript@7.0.2", "tsc"]
    if subprocess.run([*checker, "--version"], capture_output=True).returncode:
        pytest.skip("npm has no typescript 7.0.2 here (npx -y -p typescript@7.0.2 tsc --version)")
    run = subprocess.run([*checker, "-p", str(STATIC)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
