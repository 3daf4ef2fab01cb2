"""Boxes out of what models write, in the form of each family, and drawn."""

import io

import pytest
from PIL import Image

from core.results import Box, Table
from vision.chat import output_parser, output_renderer
from vision.chat.output_parser import (
    BOXES,
    IN_THOUSANDTHS,
    MOST,
    NotInForm,
    Wanted,
    asked_object,
    family_of,
    wanted_of_card,
)

CAT = Box("cat", 0.1, 0.2, 0.5, 0.6)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('[{"bbox_2d": [100, 200, 500, 600], "label": "cat"}]', "qwen3"),
        ('```json\n[{"bbox_2d": [500, 600, 100, 200], "label": "cat"},]\n```', "qwen3"),
        ('{"objects": [{"label": "cat", "bbox": [100, 200, 500, 600]}]}', "qwen3"),
        ('[{"bbox_2d": [64, 96, 320, 288], "label": "cat"}]', "pixels"),  # of 640 × 480
        ("[100, 200, 500, 600]", "thousandths"),
        ("The cat is at [100, 200, 500, 600].", "qwen3"),
        ("(100,200),(500,600)", "qwen3"),
        ("cat<loc_100><loc_200><loc_500><loc_600>", "florence"),
        ('[{"bbox_2d": [0.1, 0.2, 0.5, 0.6], "label": "cat"}]', "qwen3"),
    ],
)
def test_each_family_is_read_in_its_own_form(text: str, family) -> None:
    assert output_parser.read_boxes(text, family, (640, 480), "cat") == ((CAT,), 0)


def test_paligemma_tells_the_top_first_in_1024_parts() -> None:
    text = "<loc0256><loc0512><loc0768><loc1023> cat ; <loc0000><loc0000><loc0512><loc0512> dog"
    (cat, dog), dropped = output_parser.read_boxes(text, "loc", (640, 480))
    assert (cat.label, cat.left, cat.top, cat.right, cat.bottom) == ("cat", 0.5, 0.25, 0.999, 0.75)
    assert (dog.label, dropped) == ("dog", 0)


def test_what_cant_be_drawn_is_left_out_and_counted() -> None:
    outside, small = "[1200, 1200, 1300, 1300]", "[10, 10, 20, 20]"
    found = output_parser.read_boxes(
        f"[[100, 200, 500, 600], {outside}, {small}, [900, 900, 1100, 1100]]", "qwen3", (9, 9), "cat"
    )
    assert found.boxes == (CAT, Box("cat", 0.9, 0.9, 1.0, 1.0)) and found.dropped == 2
    many = [{"bbox_2d": [n, n, n + 200, n + 200], "label": "x"} for n in range(30)]
    found = output_parser.read_boxes(str(many).replace("'", '"'), "qwen3", (9, 9))
    assert (len(found.boxes), found.dropped) == (MOST, 10)


@pytest.mark.parametrize("text", ["[]", "```json\n[]\n```", "There is no dog.", "None."])
def test_a_model_may_say_that_there_is_none(text: str) -> None:
    assert output_parser.read_boxes(text, "qwen3", (9, 9)) == ((), 0)


@pytest.mark.parametrize("text", ["On the left.", "", "At 12, perhaps.", "[1, 2, 3]"])
def test_words_alone_are_no_boxes(text: str) -> None:
    with pytest.raises(NotInForm):
        output_parser.read_boxes(text, "qwen3", (9, 9))


def test_a_models_name_or_card_tells_its_form() -> None:
    assert family_of("Qwen/Qwen2.5-VL-7B-Instruct") == family_of("qwen2_5_vl") == "pixels"
    assert (family_of("qwen3_vl"), family_of("paligemma"), family_of("microsoft/Florence-2")) == (
        "qwen3", "loc", "florence"
    )  # fmt: skip
    assert wanted_of_card({"boxes": "thousandths"}, "qwen2_5_vl").boxes == "thousandths"
    assert wanted_of_card({"boxes": "nonsense"}, "qwen2_5_vl").boxes == "pixels"


def test_a_question_is_put_as_a_model_wants_it() -> None:
    asked = "Where are the red boats in the picture?"
    assert asked_object(asked) == "red boats"
    assert asked_object("Please find all the cats!") == "cats"
    assert asked_object("Draw a box around the dog") == "dog"
    assert Wanted(boxes="loc").question(asked, "boxes") == "detect red boats"
    assert Wanted(boxes="thousandths").question(asked, "boxes") == "locate the red boats."
    assert Wanted().question(asked, "boxes") == f"{asked}\n{BOXES}{IN_THOUSANDTHS}"
    assert Wanted(boxes="pixels").question(asked, "boxes") == f"{asked}\n{BOXES}"
    assert Wanted(table="read the chart as csv.").question("x", "table") == "x\nread the chart as csv."
    assert Wanted().question(asked, "free") == asked


def test_boxes_are_drawn_where_they_are_with_a_label_that_stays_inside() -> None:
    found = output_renderer.draw_boxes(
        Image.new("RGB", (400, 300), "black"), [CAT, Box("a long name at the edge", 0.9, 0, 1, 0.3)]
    )
    image = Image.open(io.BytesIO(found.data)).convert("RGB")
    assert image.size == (found.width, found.height) == (400, 300)
    red = [(x, 150) for x in range(400) if image.getpixel((x, 150))[0] > 200]
    assert [x for x, _ in red] == [40, 41, 199, 200], "two pixels wide, on both sides"
    assert image.getpixel((399, 10)) != (0, 0, 0)


def test_a_table_is_drawn_beside_its_picture_with_bars_as_high_as_its_numbers() -> None:
    table = Table(("", "n"), (("a", 10.0), ("b", 5.0), ("c", -5.0)), "Title")
    chart = output_renderer.draw_chart(table)
    blue = [
        sum(chart.getpixel((x, y)) == (88, 101, 242) for y in range(chart.height)) for x in (150, 336, 520)
    ]
    assert blue[0] == pytest.approx(2 * blue[1], abs=3) and blue[1] == pytest.approx(blue[2], abs=3)
    beside = output_renderer.drawn_again(table, Image.new("RGB", (3000, 1000), "white"))
    assert beside.width > chart.width + 600 and beside.height < 600
    assert output_renderer.drawn_again(table, None).width == chart.width


@pytest.mark.parametrize(
    "rows",
    [(("a", "x"), ("b", "y")), (("a", 1.0),), (("a", None), ("b", None))],
    ids=["words", "one", "gaps"],
)
def test_what_has_no_numbers_to_compare_isnt_drawn(rows: tuple) -> None:
    assert output_renderer.draw_chart(Table(("", "n"), rows)) is None


def test_many_rows_and_zeros_are_drawn_too() -> None:
    assert (
        output_renderer.draw_chart(Table(("", "n", "m"), tuple((f"name {n}", 0.0, None) for n in range(90))))
        is not None
    )
    assert (
        output_renderer.draw_chart(Table(("", "n"), tuple((f"名 {n}", n * 1e9) for n in range(4)))).height
        >= 300
    )
