"""The decoder that learns from pictures drawn again: what it is shown."""

import random
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo.train import autoencoder  # noqa: E402

pytestmark = pytest.mark.training


def test_line_art_and_watercolor_are_shown_more_often():
    rng = random.Random(0)
    plain = Counter(autoencoder.training_scene(rng, autoencoder.REDRAWN_MIX).style for _ in range(2000))
    shown = Counter(autoencoder.shown_scene(rng).style for _ in range(2000))
    for style, times in autoencoder.FREQUENT.items():
        assert shown[style] / shown["flat"] > 0.7 * times * plain[style] / plain["flat"]


def test_a_batch_pairs_latents_with_their_own_pictures():
    shards = []
    for index, (columns, rows) in enumerate([(6, 4), (4, 6), (6, 4)]):
        ids = np.arange(4) + 10 * index
        cells = np.broadcast_to(ids[:, None, None, None], (4, 4, rows, columns)).astype(np.float16)
        pictures = np.zeros((4, 8 * rows, 8 * columns, 3), np.uint8) + ids[:, None, None, None].astype(
            np.uint8
        )
        things = np.zeros((4, rows, columns), bool)
        things[:, 1, 2] = True
        shards.append({"pictures": pictures, "latents": cells, "redrawn": cells + 100, "things": things})
    shapes = set()
    for seed in range(20):
        z, x, weight = autoencoder.sample(random.Random(seed), shards)
        assert len(z) == autoencoder.REDRAWN_BATCH and x.shape[2:] == weight.shape[2:] == tuple(
            8 * s for s in z.shape[2:]
        )
        shapes.add(tuple(z.shape[2:]))
        ids = ((x[:, 0, 0, 0] + 1) * 127.5).round()
        again = torch.tensor(
            [100.0] * autoencoder.REDRAWN + [0.0] * (autoencoder.REDRAWN_BATCH - autoencoder.REDRAWN)
        )
        assert torch.equal(z[:, 0, 0, 0], ids + again)
        assert weight[0, 0, 12, 20] == pytest.approx(autoencoder.THING * weight[0, 0, 0, 0].item())
    assert shapes == {(4, 6), (6, 4)}


def test_the_critic_looks_at_things():
    rng = random.Random(0)
    weight = torch.ones(3, 1, 128, 104)
    weight[0, :, 120:, 96:] = 3.0  # in a corner
    weight[1, :, 64:72, 40:48] = 3.0
    corners = autoencoder.crops(rng, weight)
    side = 8 * autoencoder.REDRAWN_CROP
    assert corners[0] == (128 - side, 104 - side) and all(0 <= y <= 128 - side for y, _ in corners)
    cut = autoencoder.cut(weight, corners)
    assert cut.shape == (3, 1, side, side)
    assert cut[:2].amax() == 3.0 and cut[1].sum() == side * side + 2 * 64
    assert autoencoder.build_critic()(torch.rand(2, 3, side, side)).shape == (2, 1, 4, 4)
