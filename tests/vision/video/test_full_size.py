"""Wan at its full size on a card that isn't there: loaded, drawn and decoded by the program's own code."""

import logging
from pathlib import Path

import numpy as np
import pytest

from tools import full_size
from tools.memory_needs import hollow_card
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.video.generate import Shot, generate
from vision.video.model import VideoModel

GIB = 2**30
FRAMES = 5  # two latents: from the second on memory doesn't grow
WORDS = 16 * 2**20  # bytes of texts that are kept
TILED = "out of memory, decoding in tiles"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wan 2.1 1.3B without its weights."""
    made = tmp_path_factory.mktemp("wan") / "wan"
    full_size.write_model("wan-2.1-1.3b", made)
    return made


def draw(model: VideoModel) -> int:
    """Draw a video of native size; return how many frames came."""
    shot = Shot("a red house", "", 7, 832, 480, FRAMES, 16, 1, 1.0, operation="new")
    pieces = list(generate(model, shot, Reporter()).chunks)
    assert {piece.shape[1:] for piece in pieces} == {(480, 832, 3)} and pieces[0].dtype == np.uint8
    return sum(map(len, pieces))


@pytest.mark.long
def test_a_card_with_less_than_the_decoder_needs_decodes_in_tiles_and_the_next_video_whole(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with hollow_card() as card:
        config = WorkerConfig("cuda:0", {"video": str(folder)}, str(folder.parent / "data"), quantize="off")
        model = Models(config).video(None, Reporter())
        weights = card.live
        assert draw(model) == FRAMES
        peak = card.peak - weights
        assert 5 * GIB < peak < 6.33 * GIB, "less than decoding in bands took"
        assert card.live - weights < WORDS, "nothing of a video is left"
        card.capacity = weights + peak - GIB
        card.reset()
        with caplog.at_level(logging.WARNING):
            assert draw(model) == FRAMES
        assert TILED in caplog.text and card.live - weights < WORDS
        card.capacity = weights + peak
        caplog.clear()
        assert draw(model) == FRAMES and TILED not in caplog.text
