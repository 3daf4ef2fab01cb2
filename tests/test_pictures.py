"""The pictures of the pages: each is drawn by ``make pictures`` and small."""

import re

from PIL import Image

from core.settings import ROOT

FOLDER = ROOT / "docs" / "pictures"
PICTURES = {path.stem: path for path in FOLDER.iterdir()}


def test_every_picture_is_drawn_by_the_script() -> None:
    script = (ROOT / "proofs" / "pictures.py").read_text(encoding="utf-8")
    drawn = re.findall(r'keep(?:_moving)?\(\s*"([a-z0-9-]+)"', script)
    assert len(drawn) > 20
    assert set(drawn) == set(PICTURES)


def test_stills_are_small_and_animations_not_large() -> None:
    for name, path in PICTURES.items():
        with Image.open(path) as picture:
            moves = getattr(picture, "n_frames", 1) > 1
        assert path.stat().st_size <= (1_500_000 if moves else 60_000), name
