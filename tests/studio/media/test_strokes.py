"""The rasteriser paints what its definition says, to the bit, alone and in its process."""

import base64
import json
import random
import subprocess
import sys

import numpy as np
import pytest

from core.errors import ImageError
from core.settings import ROOT
from storage.blobs.local import Folder
from studio.media import masks, media_process, strokes
from studio.media.confinement import LENGTHS
from studio.media.uploads import Intake
from tests.studio.editor import reference
from tests.studio.editor.test_reference import MASKS, base_of


def _replayed(width: int, height: int, base: bytes | None, painted: list) -> np.ndarray:
    below = np.frombuffer(base or bytes(width * height), np.uint8).reshape(height, width).copy()
    return strokes.replay(below, painted)


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in MASKS])
def test_each_shared_vector_comes_out(vector) -> None:
    found = _replayed(vector["width"], vector["height"], base_of(vector), vector["strokes"])
    assert (int(found.sum()), reference.digest(found.tobytes())) == (vector["painted"], vector["sha256"])


def test_a_process_of_its_own_has_all_it_needs_before_its_files_are_shut() -> None:
    sent = json.dumps([{"tool": "rect", "value": 1, "box": [4, 4, 20, 12]}]).encode()
    line = json.dumps({"width": 64, "height": 64, "length": len(sent)}).encode()
    asked = LENGTHS.pack(len(line), len(sent)) + line + sent
    command = [sys.executable, "-m", "studio.media.media_process", "paint"]
    answer = subprocess.run(command, input=asked, capture_output=True, cwd=ROOT, check=True).stdout
    told, _ = LENGTHS.unpack_from(answer)
    assert json.loads(answer[LENGTHS.size : LENGTHS.size + told])["painted"] == 128


def test_random_strokes_are_those_of_the_reference() -> None:
    random_ = random.Random(5)
    for number in range(60):
        width, height = random_.randrange(16, 160), random_.randrange(16, 120)
        painted = [stroke(random_, width, height) for _ in range(random_.randrange(1, 7))]
        plain = reference.replay(width, height, None, painted)
        found = _replayed(width, height, None, painted)
        assert bytes(plain) == found.tobytes(), (number, width, height, painted)


def stroke(random_: random.Random, width: int, height: int) -> dict:
    """Return any stroke, mostly over a canvas of that size."""
    tool = random_.choice(["brush"] * 5 + ["lasso"] * 2 + ["rect", "rect", "invert", "grow", "shrink"])
    value = int(random_.random() < 0.7)
    if tool in ("brush", "lasso"):
        line = walk(random_, width, height, random_.randrange(1 if tool == "brush" else 3, 9))
        made = {"tool": tool, "value": value, "at": line[0], "xy": deltas(line)}
        count = random_.choice([1, len(line)])
        radii = [random_.choice([6, 7, 8, random_.randrange(6, 500)]) for _ in range(count)]
        return made | ({"r": radii} if tool == "brush" else {})
    if tool == "rect":
        return {"tool": tool, "value": value, "box": [random_.randrange(-20, 180) for _ in range(4)]}
    return {"tool": tool} | ({} if tool == "invert" else {"px": random_.randrange(1, 12)})


def walk(random_: random.Random, width: int, height: int, count: int) -> list[list[int]]:
    """Return points in 1/8 px, some of them outside, some on a line or where the last was."""
    place = [random_.randrange(-200, 8 * width + 200), random_.randrange(-200, 8 * height + 200)]
    found = [place]
    for _ in range(count - 1):
        step = [random_.choice([0, 8, -8, random_.randrange(-600, 600)]) for _ in range(2)]
        found.append([a + b for a, b in zip(found[-1], step, strict=True)])
    return found


def deltas(line: list[list[int]]) -> str:
    """Return points as a stroke has them behind its first."""
    return base64.b64encode(np.diff(np.array(line), axis=0).astype("<i2").tobytes()).decode()


def test_the_process_answers_what_the_definition_says(tmp_path) -> None:
    vector = next(one for one in MASKS if one["base"])
    sent = json.dumps(vector["strokes"]).encode()
    shape = {"width": vector["width"], "height": vector["height"], "length": len(sent)}
    header, png = media_process.answer_request(sent + base64.b64decode(vector["base"]), "paint", **shape)
    assert header == {"painted": vector["painted"], "sha256": vector["sha256"]}
    mask = masks.read_mask(png)
    assert (mask.width, mask.height, mask.painted) == (vector["width"], vector["height"], vector["painted"])


async def test_a_mask_is_painted_beside_the_studio_and_kept(tmp_path) -> None:
    noted = []

    async def note(user_id: int, sha256: str) -> None:
        noted.append((user_id, sha256))

    vector = next(one for one in MASKS if one["base"])
    files = Folder(tmp_path)
    intake = Intake(files, 2**20, note)
    below = await files.put(base64.b64decode(vector["base"]), "image/png")
    size = vector["width"], vector["height"]
    painted = await intake.paint(size, vector["strokes"], below, 7)
    assert (painted.pixels, painted.count) == (vector["sha256"], vector["painted"])
    assert noted == [(7, painted.sha256)]
    assert masks.read_mask(await files.get(painted.sha256)).width == size[0]
    every = MASKS[-1]  # strokes of every kind: nothing is left to import once the process is shut in
    whole = await intake.paint((every["width"], every["height"]), every["strokes"], None, 7)
    assert whole.pixels == every["sha256"]
    with pytest.raises(ImageError, match="131×97 px; the canvas has 64×64 px"):
        await intake.paint((64, 64), [], below, 7)


async def test_strokes_that_take_for_ever_are_given_up_with_a_sentence(tmp_path, monkeypatch) -> None:
    async def note(user_id: int, sha256: str) -> None:
        raise AssertionError("nothing was painted")

    monkeypatch.setattr("studio.media.uploads.TIMEOUT", 1.5)
    line = [[0, 0], *([32_000, 32_000], [0, 0]) * 9_000]
    endless = {"tool": "brush", "value": 1, "r": [16_384], "at": [0, 0], "xy": deltas(line)}
    with pytest.raises(ImageError, match="take too long to paint again"):
        await Intake(Folder(tmp_path), 2**20, note).paint((4096, 4096), [endless], None, 1)
