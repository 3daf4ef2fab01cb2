"""What CLIP sees of a picture: the same alone and among others, kept by hash, and given up."""

from collections.abc import Callable

import pytest
import torch
from PIL import Image, ImageDraw

from tests.support import tiny
from vision.readers import few_shot
from vision.readers.few_shot import FeatureReader
from vision.store import Models


def reader(models: Models) -> FeatureReader:
    return models.get("clip").features


def read(found: FeatureReader, *images: Image.Image) -> list[few_shot.Blocks]:
    [blocks] = found.read_lists([images], lambda count=1: None)
    return blocks


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_same_alone_and_among_others(name: str, models_of: Callable[..., Models]) -> None:
    found, images = reader(models_of(clip=name)), [tiny.picture(seed=n) for n in range(20)]
    together = read(found, *images)
    for place in (0, 15, 16, 19):
        [alone] = read(found, images[place])
        assert set(alone) == {name for names in few_shot.VIEWS for name in names}
        for key, value in alone.items():
            assert torch.allclose(value.float(), together[place][key].float(), atol=2e-3), key
    assert len(few_shot.views(together, together[:1])) == len(few_shot.VIEWS)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_projection_is_what_search_compares(name: str, models_of: Callable[..., Models]) -> None:
    matcher, image = models_of(clip=name).get("clip"), tiny.picture()
    [blocks] = read(matcher.features, image)
    found = blocks["projected"].float()
    assert torch.allclose(found / found.norm(), matcher.embed_images([image])[0], atol=2e-3)
    texts = ("a cat", "a dog", "a boat")
    words = matcher.word_chances(found[None], texts)
    assert words.exp().tolist()[0] == pytest.approx(matcher.probabilities(image, texts), abs=2e-3)


def test_features_are_kept_by_hash_until_they_are_forgotten_or_there_is_no_room(
    models_of: Callable[..., Models], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_of(clip="clip")
    found = reader(models)
    [blocks] = read(found, tiny.picture())
    found.kept.update({"a" * 64: blocks, "b" * 64: blocks})
    models.forget(["a" * 64, "a job's id"])
    assert list(found.kept) == ["b" * 64]
    monkeypatch.setattr(few_shot, "MAX_BYTES", 2 * few_shot.blocks_size(blocks))
    few = FeatureReader(None, None).kept
    for name in "aba":
        few[name] = blocks
    assert few.get("b") is blocks
    few["c"] = blocks
    assert [name in few for name in "abc"] == [False, True, True], "the longest unused goes first"


def spot(x: int, y: int) -> torch.Tensor:
    """Patches (1, 3, 8, 8) of a picture with one bright spot."""
    image = Image.new("RGB", (8, 8), (40, 90, 160))
    ImageDraw.Draw(image).rectangle((x, y, x + 1, y + 1), fill=(250, 240, 30))
    pixels = torch.tensor(list(image.get_flattened_data()), dtype=torch.float32)
    return pixels.reshape(1, 8, 8, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize("work", [few_shot.spread_of_patches, few_shot.distance_from_ground])
@pytest.mark.parametrize("place", [(2, 2), (5, 3), (3, 5)])
def test_what_stands_out_is_found_where_it_is(work, place: tuple[int, int]) -> None:
    found = work(spot(*place))[0].reshape(8, 8)
    x, y = place
    inside = found[y : y + 2, x : x + 2]
    assert inside.min() > found.sum().sub(inside.sum()).div(60) + 1
    assert found.flatten().argmax().item() in {(y + j) * 8 + x + i for i in range(2) for j in range(2)}


def test_a_flat_picture_has_no_numbers_that_are_none() -> None:
    for work in (few_shot.spread_of_patches, few_shot.distance_from_ground):
        assert torch.isfinite(work(torch.ones(1, 3, 8, 8))).all()


def test_a_model_whose_patches_make_no_square_still_has_looks() -> None:
    layers = [torch.randn(2, 7, 6) for _ in range(4)]
    assert set(few_shot.blocks_of_layers(layers)) == {"look 0", "look 1", "look 2"}
