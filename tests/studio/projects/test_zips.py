"""Hostile zip files through a project's door, one of each kind; ``python -m proofs.security.zips`` sends
more."""

from pathlib import Path

import pytest

from proofs.security import zips
from studio.projects import label_formats
from tests.studio.projects.conftest import zipped


async def test_one_of_each_kind_does_nothing_but_be_refused(tmp_path: Path) -> None:
    assert await zips.walk(len(zips.KINDS), tmp_path) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.png": b"\0" * 10**7}, "100 times its size"),
        ({"a.exe": b"x"}, "supported picture"),
        ({"a.tar.gz": b"x"}, "archive in an archive"),
    ],
)
def test_a_file_that_is_not_taken_says_why(files: dict[str, bytes], words: str) -> None:
    header, body = label_formats.answer_request(zipped(files).data, "pictures")
    assert header["pictures"] == [] and body == b""
    [[_, why]] = header["refused"]  # type: ignore[misc]
    assert words in why


def test_an_empty_archive_and_what_is_none_are_told_apart() -> None:
    assert label_formats.answer_request(zipped({}).data, "pictures")[0] == {"error": "has no pictures in it."}
    assert label_formats.answer_request(b"hello", "pictures")[0] == {
        "error": ("is damaged, or isn't a ZIP file.")
    }
    assert "no labels in it" in str(
        label_formats.answer_request(zipped({"a.png": b"x"}).data, "labels")[0]["error"]
    )
