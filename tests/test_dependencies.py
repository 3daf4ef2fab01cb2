"""Floors and constraints hold together, and what `make mutants` copies is enough for its tests."""

import ast
import json
import re
import subprocess
import tomllib
from importlib.metadata import metadata
from unittest import mock

import pytest
from packaging.requirements import Requirement

from core.settings import ROOT
from proofs.security import dependencies
from vision.weights import packaged


def test_no_version_with_known_holes_is_admitted_and_the_processors_build_is() -> None:
    assert dependencies.problems() == []
    assert dependencies.constraints()["torch"].specifier.contains("2.13.0+cpu")


def test_a_floor_that_falls_is_noticed() -> None:
    declared = {**dependencies.declared(), "pillow": Requirement("pillow>=12")}
    with mock.patch.object(dependencies, "declared", lambda: declared):
        assert dependencies.problems() == ["pyproject.toml admits pillow 12.2.0"]


def test_the_notices_name_what_asks_for_more_than_its_name() -> None:
    notices = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    shared = {}
    for name in dependencies.closure():
        about = metadata(name)
        said = [
            about.get("License-Expression"),
            (about.get("License") or "")[:80],
            *about.get_all("Classifier", []),
        ]
        if re.search(r"\b(L|A)?GPL|\bMPL|Mozilla", " ".join(filter(None, said))):
            shared[name] = re.search(rf"\b{re.escape(name)}\b", notices) is not None
    assert {"certifi", "num2words", "tqdm"} <= shared.keys() and all(shared.values()), shared
    for licence in (ROOT / "web" / "static").rglob("LICENSE"):
        assert licence.parent.relative_to(ROOT).as_posix() in notices
    assert all(model.package in notices for model in packaged.MODELS.values())


@pytest.mark.parametrize(
    ("entries", "words", "status"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "1 packages checked, 0 known weaknesses", 0),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}],
            "a 1: CVE-1, fixed in 2",
            1,
        ),
        ([{"name": "a", "skip_reason": "not found"}], "nothing was checked", 0),
        (None, "nothing was checked", 0),
    ],
)
def test_the_audit_says_what_it_found_and_when_it_could_not_look(
    capsys, entries, words: str, status: int
) -> None:
    out = "" if entries is None else json.dumps({"dependencies": entries})
    done = subprocess.CompletedProcess([], 1, out, "no network")
    with mock.patch.object(dependencies.subprocess, "run", lambda *a, **k: done):
        assert dependencies.audit() == status
    assert words in capsys.readouterr().out


def test_the_copy_that_mutants_are_made_in_has_all_that_its_tests_import() -> None:
    own = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    mutmut = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    copied = {*mutmut["source_paths"], *mutmut["also_copy"], "tests"}
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for name in mutmut["pytest_add_cli_args_test_selection"]
        for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
    }
    assert imported & own <= copied
