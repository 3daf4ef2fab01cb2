"""Labels as other programs write them: what is written is read again, and what others write is understood."""

import json
import random
import string

import pytest

from studio.projects import label_formats
from studio.projects.label_formats import FORMS, Box, Labelled


def _rows(seed: int, count: int) -> list[Labelled]:
    rng = random.Random(seed)
    names = ["good", "scratch", "a, b", 'with "quotes"', "größe", "=SUM(A1)", "0"]
    rows = []
    for number in range(count):
        boxes: list[Box] = []
        for _ in range(rng.randrange(4)):
            left, right = sorted(rng.sample(range(4097), 2))
            top, bottom = sorted(rng.sample(range(4097), 2))
            boxes.append((rng.choice(names), left / 4096, top / 4096, right / 4096, bottom / 4096))
        label = boxes[0][0] if boxes else rng.choice(names)
        rows.append(Labelled(f"{number:064x}.png", label, tuple(boxes), 4096, 4096))
    return rows


@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_boxes_come_back_to_a_hundredth_of_a_pixel(form: str) -> None:
    rows = _rows(7, 700)
    assert sum(len(row.boxes) for row in rows) > 1000
    back = {
        row.file.removesuffix(".png"): row
        for row in label_formats.read_labels(label_formats.write_labels(form, rows))
    }
    assert len(back) == len(rows)
    for row in rows:
        found = back[row.file.removesuffix(".png")]
        assert found.label == row.label and len(found.boxes) == len(row.boxes)
        for one, other in zip(row.boxes, found.boxes, strict=True):
            assert one[0] == other[0]
            assert all(abs(a - b) * 4096 < 0.01 for a, b in zip(one[1:], other[1:], strict=True))


def test_a_table_has_no_formula_in_it() -> None:
    text = label_formats.write_labels("csv", [Labelled("=cmd.png", "@evil")])["labels.csv"].decode()
    assert "'=cmd.png,'@evil" in text
    assert label_formats.read_csv(text)[0].label == "@evil"


@pytest.mark.parametrize(
    "text",
    [
        "nc: 2\nnames: ['cat', \"a dog\"]\n",
        "names:\n- cat\n- a dog\ntrain: images\n",
        "train: images\nnames:\n  0: cat\n  1: 'a dog'\nnc: 2\n",
        "names: [cat,\n  a dog]\n",
    ],
)
def test_yolos_names_are_read_as_people_write_them(text: str) -> None:
    assert label_formats.yolo_names(text) == {0: "cat", 1: "a dog"}


def test_cocos_polygons_are_masks_and_ids_may_have_gaps() -> None:
    images = [{"id": 9, "file_name": "a/b.jpg", "width": 100, "height": 50}, {"id": 11, "file_name": "c"}]
    dent = {"bbox": [10, 5, 20, 10], "segmentation": [[10, 5, 30, 5, 30, 15]]}
    made = {
        "images": images,
        "categories": [{"id": 90, "name": "dent"}],
        "annotations": [{"image_id": 9, "category_id": 90, **dent}],
    }
    [row] = label_formats.read_coco(json.dumps(made))
    assert (row.file, row.label, row.boxes) == ("a/b.jpg", "dent", ())
    assert row.outlined == (("dent", 0.1, 0.1, 0.3, 0.3),)
    assert sum(row.mask) == 5000 and 90 <= sum(row.mask[1::2]) <= 110, "half of its box"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"picture,what\n1,2\n", "columns file and label"),
        ("a.csv", b"file,label\nx.png,\n", "line 2 has no file or no label"),
        ("a.csv", b"file,label,left,top,right,bottom\nx,y,1,2,3,4\n", "0 to 1"),
        ("a.csv", b"file,label,left,top,right,bottom\nx,y,nan,0,1,1\n", "0 to 1"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.json", b"[]", "no COCO file"),
        ("a.json", b'{"images": 5, "annotations": [], "categories": []}', "no COCO file"),
        ("a.json", b"[" * 100_000, "no COCO file"),
        ("a.json", b"not json", "Expecting value"),
    ],
)
def test_what_is_no_label_file_is_said_to_be_none(name: str, data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        label_formats.read_labels({name: data})


def test_any_bytes_at_all_are_read_or_refused_and_nothing_else_happens() -> None:
    rng = random.Random(3)
    letters = string.printable + "é\0"
    seeds = [label_formats.write_labels(form, _rows(1, 5)) for form in FORMS]
    for _ in range(600):
        files = dict(rng.choice(seeds))
        name = rng.choice(list(files))
        data = bytearray(files[name])
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(4)] = "".join(rng.sample(letters, rng.randrange(4))).encode()
        files[name] = bytes(data)
        try:
            rows = label_formats.read_labels(files)
        except ValueError:
            continue
        assert all(0 <= side <= 1 for row in rows for box in row.boxes for side in box[1:])
