"""What a document becomes: by rules alone, without a browser and without a database."""

from datetime import UTC, datetime

import pytest

from core.errors import UserError
from core.job import Job, Lane, Origin, Status, new_job_id
from core.prompt.parser import parse_prompt
from core.requests import ComposeRequest, ImagineRequest, OutpaintRequest, RegionRequest, VariationRequest
from studio.editor.document import Document, Layer
from studio.editor.document import Source as Named
from studio.editor.editor import Laid, Plan, job_of, plan_document
from studio.new_job import PromptWithPictures, Source

SHA, OTHER, MASK, CLIP = "a" * 64, "b" * 64, "c" * 64, "d" * 64
MADE_BY = ImagineRequest(prompt="a harbour", seed=5, negative_prompt="people", raw=True)
PLACED = Named("abcd2345efgh", 2)


def job(private: bool = False) -> Job:
    """A finished job as its row has it."""
    origin = Origin(1, 0, None, private=private)
    return Job(new_job_id(), MADE_BY, origin, Status.DELIVERED, Lane.FAST, datetime.now(UTC))


def laid(layer: Layer | None = None, source: Source | None = None, **layer_: object) -> Laid:
    made = source or Source(SHA, 800, 600, job(), 1, next_seed=77)
    return Laid(layer or Layer("a", PLACED, **layer_), made)


def document(*found: Laid, width: int = 800, height: int = 600, **more: object) -> Document:
    return Document(1, width, height, tuple(one.layer for one in found), **more)


def words(text: str) -> PromptWithPictures:
    return PromptWithPictures(parse_prompt(text), {})


def made(one: Document, *found: Laid, mask: str | None = None, text: str = ""):
    """The request of a document."""
    return job_of(one, found, words(text) if text else None, mask).request


def test_a_mask_over_one_picture_is_a_region() -> None:
    one = laid()
    request = made(document(one, images=2), one, mask=MASK)
    assert isinstance(request, RegionRequest)
    assert (request.image, request.mask_image, request.num_images) == (SHA, MASK, 2)
    assert (request.prompt, request.negative_prompt, request.seed) == ("a harbour", "people", 77)
    assert not request.remix
    other = made(document(one, words="a fog", amount=0.3, seed=9), one, mask=MASK, text="a fog")
    assert (other.prompt, other.strength, other.seed, other.remix) == ("a fog", 0.3, 9, True)


def test_more_canvas_around_one_picture_is_an_outpaint() -> None:
    one = laid(x=100.0, y=0)
    request = made(document(one, width=1000, height=650, images=1), one)
    assert isinstance(request, OutpaintRequest)
    assert (request.left, request.top, request.right, request.bottom) == (100, 0, 100, 50)
    assert request.num_images == 1


@pytest.mark.parametrize(
    ("layer", "more"),
    [
        ({"x": 100}, {"width": 1000, "mask": MASK}),  # a mask and more canvas in one go
        ({"x": 100.5}, {"width": 1000}),
        ({"scale": 0.5}, {}),
        ({"x": -10}, {"width": 900}),  # a part is cut off, another is added
        ({"x": -10}, {"width": 790, "mask": MASK}),  # cut, and painted
        ({"clip": CLIP}, {}),
        ({"opacity": 0.5}, {"mask": MASK}),
        ({"x": 100}, {"width": 1000, "keep_seam": True}),
        ({"x": 0}, {"width": 2049}),  # more than an outpaint takes
    ],
)
def test_what_has_no_shorter_name_is_composed(layer, more) -> None:
    one = laid(**layer)
    mask = more.pop("mask", None)
    request = made(document(one, **more), one, mask=mask)
    assert isinstance(request, ComposeRequest)
    assert request.canvas == (more.get("width", 800), 600)
    assert request.layers == ((SHA, one.layer.x, 0, one.layer.scale, one.layer.opacity, one.layer.clip),)
    assert request.mask_image == mask and request.keep_seam == more.get("keep_seam", False)
    assert request.prompt == "a harbour"


def test_several_layers_are_composed_and_the_lowest_that_was_made_here_is_the_parent() -> None:
    below = Laid(Layer("u", Named(upload=OTHER)), Source(OTHER, 800, 600))
    above = laid(x=40)
    new = job_of(document(below, above), [below, above], None, MASK)
    assert isinstance(new.request, ComposeRequest)
    assert [layer[0] for layer in new.request.layers] == [OTHER, SHA]
    assert set(new.request.pictures) == {OTHER, SHA, MASK}
    assert new.parent == (above.source.job.id, 1) and new.request.prompt == "a harbour"


def test_words_or_an_amount_for_the_whole_picture_vary_it() -> None:
    one = laid()
    request = made(document(one, words="at night"), one, text="at night")
    assert isinstance(request, VariationRequest)
    assert (request.variation, request.prompt) == ("strong", "at night")
    assert (request.remix, request.strength) == (True, None)
    assert made(document(one, amount=0.8), one).strength == 0.8


def test_keeping_the_structure_is_left_to_the_worker_and_said() -> None:
    one = laid()
    whole = document(one, keep_structure=True, words="in clay")
    found = plan_document(whole, [one], False)
    assert found.kind == "retexture" and "no ControlNet" in found.said
    assert "ControlNet keeps their edges" in plan_document(whole, [one], False, controlnet=True).said
    request = made(whole, one, text="in clay")
    assert isinstance(request, VariationRequest) and request.keep_structure and request.strength is None
    assert made(document(one, keep_structure=True, amount=0.2), one).strength == 0.2


def test_a_part_whose_structure_is_kept_is_drawn_from_what_is_there() -> None:
    one = laid()
    assert made(document(one, keep_structure=True), one, mask=MASK).strength == 0.45
    assert made(document(one, keep_structure=True, amount=0.2), one, mask=MASK).strength == 0.2


@pytest.mark.parametrize("layer", [{}, {"x": -20, "y": -20}])
def test_nothing_to_draw_is_told(layer) -> None:
    one = laid(**layer)
    with pytest.raises(UserError, match="nothing to draw"):
        plan_document(
            document(one, width=800 + 2 * int(one.layer.x), height=600 + 2 * int(one.layer.y)), [one], False
        )


def test_nothing_to_see_is_told() -> None:
    with pytest.raises(UserError, match="No picture can be seen"):
        plan_document(document(laid(visible=False)), [], True)


def test_the_seam_is_told_beforehand_where_it_is_known() -> None:
    one = laid(x=100)
    assert plan_document(document(one, width=1000), [one], False).seam is None
    assert plan_document(document(one, width=1000), [one], True) == Plan(
        "compose", plan_document(document(one, width=1000), [one], True).said, 18
    )
    assert plan_document(document(one, width=1000, keep_seam=True), [one], False).seam == 0


def test_what_comes_from_a_private_picture_is_private() -> None:
    hidden = Laid(Layer("b", PLACED, x=5), Source(OTHER, 50, 50, job(private=True), 0))
    shown = laid()
    assert job_of(document(shown, hidden), [shown, hidden], None, MASK).private
    assert not job_of(document(shown), [shown], None, MASK).private


def test_references_stand_beside_the_words() -> None:
    one = laid()
    new = job_of(document(one), [one], None, MASK, {"style": [OTHER], "thing": [CLIP, OTHER]})
    assert new.request.style_references == ((OTHER, 1.0),)
    assert new.request.omni_references == ((CLIP, 1.0), (OTHER, 1.0))
    assert {OTHER, CLIP} <= set(new.request.pictures)


def test_flags_of_the_words_that_mean_nothing_here_are_told() -> None:
    one = laid()
    request = made(document(one, words="fog --ar 3:2"), one, mask=MASK, text="fog --ar 3:2")
    assert "--ar 3:2" in request.unsupported
