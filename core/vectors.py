"""Files of vectors and their marks, as the studio writes and a worker reads them: beside each file of vectors
lies one with four bytes for so many places, which are others whenever one of these vectors is."""

from pathlib import Path

PLACES_OF_MARK = 1024


def marks_path(path: Path) -> Path:
    """Return the file of the marks of the vectors in ``path``."""
    return path.with_name(path.name + ".marks")
