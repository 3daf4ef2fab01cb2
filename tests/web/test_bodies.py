"""What is wrong with a body of JSON is said in words, with what its field takes."""

import pytest

from core.errors import UserError
from web import schemas
from web.call import Call
from web.schemas import read_body

PICTURE = "0" * 64


def call_with(body: object) -> Call:
    return Call(None, None, {}, {}, body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (schemas.NewJobs, {"pictures": []}, "`prompt` is missing."),
        (schemas.NewJobs, {"prompt": None}, "`prompt` is missing."),
        (schemas.NewJobs, {"prompt": 7}, "`prompt` takes a text."),
        (
            schemas.NewJobs,
            {"prompt": "", "pictures": ["a" * 81]},
            "`pictures` takes a list of up to 8 texts.",
        ),
        (schemas.NewTalk, {"question": "", "answer": "x"}, "`answer` takes free, short, table, boxes, text."),
        (schemas.SignIn, {"token": 7}, "`token` takes a text."),
        (schemas.Named, {}, "`pictures` takes 1 to 2,000 names such as abcd2345efgh/2."),
        (schemas.Tail, {}, "`strokes` is missing."),
        (schemas.NewExamples, {"set": "", "label": ""}, "`pictures` is missing."),
        (schemas.NewShare, {"days": "a"}, "`days` takes a whole number."),
        (schemas.NewShare, {"words": 1}, "`words` takes true or false."),
        (schemas.Look, {"document": []}, "`document` takes an object."),
        (schemas.Tail, {"strokes": [1]}, "`strokes` takes a list of up to 2,000."),
        (schemas.Edit, {"document": {}, "painted": PICTURE + "\n"}, "`painted` takes a SHA-256 in hex."),
        (schemas.Edit, {"document": {}, "painted": "\n"}, "`painted` takes a SHA-256 in hex."),
        (schemas.Select, {"source": {}, "box": [1, 2, 3]}, "`box` takes [left, top, right, bottom]."),
        (
            schemas.Chosen,
            {"pictures": []},
            "`pictures` takes 1 to 500 ids of pictures, as the project lists them.",
        ),
    ],
)
def test_what_a_body_has_wrong_is_named_with_what_is_taken(kind, body, said: str) -> None:
    with pytest.raises(UserError) as error:
        read_body(call_with(body), kind)
    assert str(error.value) == said


def test_a_body_may_hold_nulls_and_names_that_nobody_knows() -> None:
    given = read_body(call_with({"painted": PICTURE, "document": {}, "key": None, "x": 1}), schemas.Edit)
    assert given == schemas.Edit({}, PICTURE)
    assert read_body(call_with({"document": {}, "painted": ""}), schemas.Edit).painted == ""
