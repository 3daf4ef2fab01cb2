"""Every default model, and those beside it, at full size: a hollow folder, the program's own loader, and one
picture at native size on a card that isn't there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import full_size, memory_needs
from vision.weights import memory

DRAWN = {  # name of the architecture → px of a picture's side, GB of weights on the card
    "stable-diffusion-1.5": (512, 2.13),
    "stable-diffusion-xl": (1024, 6.94),
    "flux2-klein-4b": (1024, 16.0),
    "z-image-turbo": (1024, 20.5),
    "ernie-image-turbo": (1024, 23.9),
    "qwen-image-2.1": (1024, 32.4),
    "krea-2-turbo": (1024, 34.8),
    "qwen-image-2512": (1328, 57.7),
    "qwen-image-edit-2511": (1024, 57.7),
}


QUICK = ("stable-diffusion-1.5", "flux2-klein-4b")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in DRAWN]
)
def test_a_model_of_full_size_draws_a_picture_at_its_native_size(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (side, size), folder = DRAWN[name], tmp_path / name
    full_size.write_model(name, folder)
    with memory_needs.hollow_card() as card:
        _, draw = memory_needs.load(name, folder, quantize="off", offload="none")
        weights = card.live
        card.reset()
        picture, peak = draw().pictures[0], card.peak
    with capsys.disabled():
        print(f"\n{name}: weights {weights / 1e9:.1f} GB, with a picture of {side}² {peak / 1e9:.1f} GB")
    assert (picture.width, picture.height) == (side, side)
    assert weights / 1e9 == pytest.approx(size, rel=0.01)
    assert weights == pytest.approx(memory.bytes_in_memory(folder, 2), rel=0.01)
    assert weights < peak < weights + 8e9
