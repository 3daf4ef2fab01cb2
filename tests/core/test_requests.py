"""Requests check their ranges and survive a round trip through JSON."""

import pytest

from core.errors import UserError
from core.requests import MAX_LABELS, ClassifyRequest, DescribeRequest, ImagineRequest, OutpaintRequest, VariationRequest, from_json, to_json

SHA = "ab" * 32
EXAMPLES = (
    ImagineRequest(prompt="a", aspect_ratio=(3, 2), seed=4),
    VariationRequest(prompt="", image=SHA, variation="subtle", strength=0.3),
    OutpaintRequest(prompt="b", image=SHA, left=3, bottom=9),
    DescribeRequest(image=SHA, seed=9),
    ClassifyRequest(image=SHA, labels=("a cat", "a dog")),
)


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda r: r.kind)
def test_a_request_survives_json(request_) -> None:
    assert from_json(request_.kind, to_json(request_)) == request_


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ImagineRequest(prompt="  "), "empty"),
        (lambda: ImagineRequest(prompt="x" * 6000), "6,000"),
        (lambda: ImagineRequest(prompt="a", width=9000), "9000"),
        (lambda: VariationRequest(prompt="a"), "no picture"),
        (lambda: OutpaintRequest(prompt="a", image=SHA), "Nothing to add"),
        (lambda: ClassifyRequest(image=SHA, labels=tuple(f"label {i}" for i in range(200))), f"200 labels; up to {MAX_LABELS}"),
        (lambda: ClassifyRequest(image=SHA, labels=("one",)), "at least two"),
    ],
)
def test_what_cannot_be_honoured_is_told_in_a_sentence(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()


def test_a_field_or_a_kind_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        from_json("sing", "{}")
    with pytest.raises(ValueError, match="volume"):
        from_json("imagine", '{"prompt": "a", "volume": 3}')
