"""The page of symptoms quotes what the program says, and has a section for each finding of the doctor."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from core.settings import ROOT
from host.doctor_services import Check

PAGE = (ROOT / "docs" / "host" / "troubleshooting.md").read_text(encoding="utf-8")
PACKAGES = ("bot", "core", "host", "jobs", "storage", "studio", "vision", "web")
GAP = "…"  # stands for what differs


@cache
def _texts() -> str:
    """All texts of the program, one a line, with a gap for each value that is filled in."""
    found = list[str]()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        source = re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))  # a text in several parts
        found += re.findall(r'"((?:[^"\\\n]|\\.)+)"', source)
    filled = re.sub(r"\{[^{}\n]*\}|%(?:\.\d)?[sdrf]", GAP, "\n".join(found))
    return (ROOT / "Makefile").read_text(encoding="utf-8") + filled


def _quoted() -> list[str]:
    return re.findall(r"^> (.+)$", PAGE, re.M)


def _pattern(quote: str) -> str:
    """Between two parts of a quote anything may stand, in the same text."""
    return ".*".join(re.escape(part) for part in quote.split(GAP))


@pytest.mark.parametrize("quote", _quoted())
def test_a_message_that_is_quoted_is_one_of_the_program(quote: str) -> None:
    assert re.search(_pattern(quote), _texts())


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert not re.search(_pattern("Another Atelier (process …) has eaten …."), _texts())


def test_there_are_many_symptoms_and_no_two_of_one_name() -> None:
    symptoms = [name for name in re.findall(r"^### (.+)$", PAGE, re.M) if not name.startswith("Doctor: ")]
    assert len(symptoms) == len(set(symptoms)) >= 40


def _findings() -> set[str]:
    """The names of the doctor's checks, as its source has them."""
    calls = [
        node
        for name in ("doctor.py", "doctor_services.py")
        for node in ast.walk(ast.parse((ROOT / "host" / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Check"
    ]
    return {ast.literal_eval(call.args[0]) for call in calls}


def test_each_finding_of_the_doctor_has_a_section_that_it_leads_to() -> None:
    names = _findings()
    assert len(names) > 20
    assert names <= set(re.findall(r"^### Doctor: (.+)$", PAGE, re.M))
    for name in names:
        file, _, anchor = Check(name, False, "").page.partition("#")
        assert Path(ROOT / file).is_file()
        assert anchor == re.sub(r"[^\w-]", "", f"Doctor: {name}".lower().replace(" ", "-"))
