"""Floors and constraints hold together."""

import json
import subprocess
from unittest import mock

import pytest
from packaging.requirements import Requirement

from proofs.security import dependencies


def test_no_version_with_known_holes_is_admitted_and_the_processors_build_is() -> None:
    assert dependencies.problems() == []
    assert dependencies.constraints()["torch"].specifier.contains("2.13.0+cpu")


def test_a_floor_that_falls_is_noticed() -> None:
    declared = {**dependencies.declared(), "pillow": Requirement("pillow>=12")}
    with mock.patch.object(dependencies, "declared", lambda: declared):
        assert dependencies.problems() == ["pyproject.toml admits pillow 12.2.0"]


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
