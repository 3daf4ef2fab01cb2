"""The folder of the readers and their table."""

from __future__ import annotations

from core.settings import ROOT


def test_the_reader_files_are_the_readers() -> None:
    from vision.readers import READERS

    theirs = [module for module in READERS.values() if module.startswith("vision.readers.")]
    loaded = {module.rpartition(".")[2] for module in theirs}
    files = {p.stem for p in (ROOT / "vision" / "readers").glob("*.py")}
    assert files == loaded | {
        "__init__",
        "occlusion",
        "outline",
        "point_segmenter",
        "thing_segmenter",
        "word_weights",
    }
