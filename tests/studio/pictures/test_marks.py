"""What pictures say of themselves when they leave. The long form is ``make security``."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from studio.pictures import marks
from tests.security import hostile, metadata

FORMS = (
    ("PNG", "image/png", {}),
    ("WEBP", "image/webp", {"lossless": True}),
    ("WEBP", "image/webp", {"quality": 80}),
    ("JPEG", "image/jpeg", {}),
)


@pytest.mark.parametrize(("form", "kind", "options"), FORMS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_mark_is_there_and_no_pixel_moves(form: str, kind: str, options: dict, mode: str) -> None:
    if form == "JPEG" and mode == "RGBA":
        pytest.skip("JPEG has no transparency")
    data = hostile.encode(Image.effect_noise((61, 43), 60).convert(mode), form, **options)
    marked = marks.outgoing(data, kind, source=marks.MADE, parameters=True)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(marked))
    assert np.array_equal(np.asarray(before), np.asarray(after)) and before.size == after.size
    assert "digitalsourcetype/trainedAlgorithmicMedia" in str(
        after.info.get("xmp") or after.info.get("XML:com.adobe.xmp")
    )
    again = marks.outgoing(marked, kind, source=marks.MADE, parameters=True)
    assert again == marked, "once is enough"
    assert b"DigitalSourceType" not in marks.outgoing(marked, kind, source=None, parameters=True)


def test_no_canary_gets_in_or_out() -> None:
    left, plain = metadata.inputs(60)
    wrong, unmarked, control = metadata.outputs(60)
    assert (left, wrong, unmarked) == (0, 0, 0)
    assert plain >= 20 and control == 60, "the canaries must be there, or the test shows nothing"


@pytest.mark.parametrize("data", [b"", b"x" * 50, b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_not_sent(data: bytes) -> None:
    for kind in ("image/png", "image/webp", "image/jpeg", "image/gif"):
        with pytest.raises(ValueError):
            marks.outgoing(data, kind, source=marks.MADE, parameters=True)


def test_parameters_are_left_out_where_the_host_wants_none() -> None:
    """``parameters`` and ``atelier`` are the worker's texts; neither may leave."""
    out = io.BytesIO()
    texts = PngInfo()
    texts.add_text("parameters", "a secret prompt")
    texts.add_text("atelier", "{}")
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=texts)
    kept = Image.open(io.BytesIO(marks.outgoing(out.getvalue(), "image/png", source=None, parameters=True)))
    assert kept.text == {"parameters": "a secret prompt", "atelier": "{}"}
    bare = Image.open(io.BytesIO(marks.outgoing(out.getvalue(), "image/png", source=None, parameters=False)))
    assert bare.text == {}
