"""How the pages look, without a browser: every value is of a scale, colours are far enough apart."""

import re

import pytest

from core.settings import ROOT
from proofs.web.look import STATIC, faults, mended, pairs, tokens

SHEETS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
TEMPLATES = ROOT / "web" / "templates"
COMPONENTS = TEMPLATES / "components.html"


@pytest.mark.parametrize("name", SHEETS)
def test_every_value_is_of_a_scale(name: str) -> None:
    assert list(faults(SHEETS[name])) == [], "`python -m proofs.web.look --mend` writes the nearest token"


@pytest.mark.parametrize(
    "sheet",
    [
        "a { color: #abc }",
        "a { background: rgb(1 2 3) }",
        "a { padding: 0.3rem 1rem }",
        "a { gap: 5px }",
        "a { margin: -0.25rem }",
        "a { border-radius: 8px }",
        "a { font-size: 13px }",
        "a { font: 500 1.1rem/1.5 Inter }",
        "a { line-height: 1.4 }",
        "a { transition: opacity 0.3s }",
        "a { transition: width var(--quick) }",
        "@keyframes grow { from { height: 0 } }",
    ],
)
def test_a_value_of_its_own_is_found(sheet: str) -> None:
    assert list(faults(sheet))


def test_the_nearest_token_is_written_instead() -> None:
    assert mended("padding", "0 0.8rem") == "0 var(--space-5)"
    assert mended("margin", "-0.25rem auto 1px") == "calc(-1 * var(--space-2)) auto 1px"
    assert mended("border-radius", "0.5rem") == "var(--round-2)"
    assert (
        mended("transition", "scale 0.14s ease-out, opacity .2s") == "scale var(--quick), opacity var(--calm)"
    )
    assert mended("width", "0.8rem") == "0.8rem"


def test_colours_that_meet_are_far_enough_apart() -> None:
    low = [pair for pair in pairs() if min(pair.light, pair.dark) < pair.least]
    assert low == [] and len(pairs()) >= 40


def test_every_token_is_used_and_every_used_one_is_there() -> None:
    files = [
        *STATIC.glob("*.css"),
        *STATIC.glob("js/**/*.js"),
        *STATIC.glob("editor/*.js"),
        *TEMPLATES.rglob("*.html"),
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path != COMPONENTS)
    used = set(re.findall(r"var\(--([\w-]+)\)", text))  # without a value of its own, where there is none
    own = set(re.findall(r"(?<![\w-])--([\w-]+):", text)) - {*tokens()}  # of a page
    assert used - own == {*tokens()}


def test_the_browsers_own_frame_has_the_colour_of_the_pages() -> None:
    told = re.findall(
        r'name="theme-color" media="[^"]+" content="(#\w+)"', (TEMPLATES / "base.html").read_text()
    )
    assert tokens()["bg"] == f"light-dark({', '.join(told)})"


def test_the_page_of_components_shows_every_token_and_icon() -> None:
    shown = COMPONENTS.read_text(encoding="utf-8")
    icons = re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8"))
    named = set(re.findall(r'"([\w-]+)"', shown))
    layout = {"side", "gutter", "target"}
    assert {*tokens(), *icons} - layout - named == set()
