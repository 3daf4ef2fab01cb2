"""What readers of photographs say to a question, and that they say when they can't tell."""

import numpy as np
import pytest
from PIL import Image

from vision.readers.photo.describe import CANT, answer


@pytest.mark.parametrize(
    ("question", "faces", "said"),
    [
        ("What is in the picture?", 0, "A photograph of a tabby."),
        ("Is there a cat?", 0, "Yes (90% sure that it is there)."),
        ("Is there a dog in this photo?", 0, "I see none (0% sure that it is there)."),
        ("How many people are there?", 2, "2"),
        ("How many people are there?", 0, "I find no face."),
        ("What colours are there?", 0, "Mostly red."),
        ("Is there a zzyzx?", 0, f"I don't know what “zzyzx” is. {CANT}"),
        ("Who painted it?", 0, CANT),
    ],
)
def test_a_photograph_is_answered_by_its_readers(question: str, faces: int, said: str) -> None:
    pytest.importorskip("torchvision")
    chances = np.zeros(1000)
    chances[281] = 0.9  # tabby
    red = Image.new("RGB", (32, 32), (220, 20, 20))
    assert answer(red, chances, [object()] * faces, question) == said
