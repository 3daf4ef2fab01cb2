"""What films are judged by, on frames whose truth is known."""

from PIL import Image, ImageDraw

from demo.evaluation.films import seen


def frame(x: int, tint: int = 0) -> Image.Image:
    """A red ball at ``x`` on blue, a little lighter by ``tint``."""
    image = Image.new("RGB", (256, 256), (90 + tint, 160, 230))
    ImageDraw.Draw(image).ellipse((x - 40, 88, x + 40, 168), fill=(200, 40, 40))
    return image


def test_colours_drift_by_what_all_of_a_picture_does_and_not_by_what_moves_in_it() -> None:
    assert seen.shift(frame(60), frame(300)) == 0
    assert seen.shift(frame(60), frame(120, tint=5)) == 5
