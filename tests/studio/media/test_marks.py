"""What pictures say of themselves when they leave. The long form is ``make security``."""

import io

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from proofs.security import metadata
from studio.media import provenance
from tests.security import hostile
from tests.support.videos import moving, video, xmp_of

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
    marked = provenance.outgoing(data, kind, source=provenance.MADE, parameters=True)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(marked))
    assert np.array_equal(np.asarray(before), np.asarray(after)) and before.size == after.size
    assert "digitalsourcetype/trainedAlgorithmicMedia" in str(
        after.info.get("xmp") or after.info.get("XML:com.adobe.xmp")
    )
    again = provenance.outgoing(marked, kind, source=provenance.MADE, parameters=True)
    assert again == marked, "once is enough"
    assert b"DigitalSourceType" not in provenance.outgoing(marked, kind, source=None, parameters=True)


def test_the_mark_of_a_video_leaves_its_frames_as_they_are() -> None:
    data = video(moving(12))
    marked = provenance.outgoing(data, "video/mp4", source=provenance.EXTENDED, parameters=True)
    assert xmp_of(marked) == provenance.packet(provenance.EXTENDED)
    assert provenance.outgoing(marked, "video/mp4", source=provenance.EXTENDED, parameters=True) == marked
    assert b"Digital" not in provenance.outgoing(marked, "video/mp4", source=None, parameters=True)

    def seen(video: bytes) -> list[bytes]:
        with av.open(io.BytesIO(video), format="mov") as container:
            return [bytes(plane) for frame in container.decode(video=0) for plane in frame.planes]

    assert seen(marked) == seen(data)


def test_the_mark_of_a_gif_leaves_its_frames_as_they_are_and_takes_comments_out() -> None:
    out, frames = io.BytesIO(), moving(5)
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)
    data = out.getvalue()
    comment = b"!\xfe\x06secret\0"
    told = data[:-1] + comment + data[-1:] + b"and more"
    assert [kind for kind, _ in provenance.gif_blocks(told)].count(b"\xfe") == 1
    marked = provenance.outgoing(told, "image/gif", source=provenance.MADE, parameters=True)
    assert b"secret" not in marked and b"and more" not in marked
    assert marked.count(provenance.packet(provenance.MADE)) == 1
    assert provenance.outgoing(marked, "image/gif", source=provenance.MADE, parameters=True) == marked
    assert b"Digital" not in provenance.outgoing(marked, "image/gif", source=None, parameters=True)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(marked))
    assert (before.n_frames, before.info["loop"]) == (after.n_frames, after.info["loop"])
    for one, other in zip(ImageSequence.Iterator(before), ImageSequence.Iterator(after), strict=True):
        assert np.array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))
        assert one.info["duration"] == other.info["duration"]
    for cut in (data[:-1], data[: len(data) // 2], data[:20]):
        with pytest.raises(ValueError, match="GIF"):
            provenance.outgoing(cut, "image/gif", source=None, parameters=True)


def test_no_canary_gets_in_or_out() -> None:
    left, plain = metadata.inputs(60)
    wrong, unmarked, control = metadata.outputs(60)
    assert (left, wrong, unmarked) == (0, 0, 0)
    assert plain >= 20 and control == 60, "the canaries must be there, or the test shows nothing"


@pytest.mark.parametrize("data", [b"", b"x" * 50, b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_not_sent(data: bytes) -> None:
    for kind in ("image/png", "image/webp", "image/jpeg", "image/gif", "video/mp4", "image/tiff"):
        with pytest.raises(ValueError):
            provenance.outgoing(data, kind, source=provenance.MADE, parameters=True)


def test_parameters_are_left_out_where_the_host_wants_none() -> None:
    """``parameters`` and ``atelier`` are the worker's texts; neither may leave."""
    out = io.BytesIO()
    texts = PngInfo()
    texts.add_text("parameters", "a secret prompt")
    texts.add_text("atelier", "{}")
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=texts)
    for parameters, said in ((True, {"parameters": "a secret prompt", "atelier": "{}"}), (False, {})):
        data = provenance.outgoing(out.getvalue(), "image/png", source=None, parameters=parameters)
        assert Image.open(io.BytesIO(data)).text == said
