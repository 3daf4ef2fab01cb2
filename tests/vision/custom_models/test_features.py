"""What each backbone sees: shapes, batches, names."""

import pytest
import torch
import transformers
from PIL import Image

from core.errors import ModelError
from tests.vision.readers.photo.conftest import FETCHED, photograph
from vision.custom_models.features import Extractor, efficientnet, filters, pixels, transformer, vectors
from vision.readers.photo.models import EfficientNetLite0


class Processor:
    image_mean = image_std = [0.5, 0.5, 0.5]


def tiny(cls, config, **more) -> torch.nn.Module:
    torch.manual_seed(0)
    return cls(
        config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, **more)
    )


def extractors() -> dict[str, Extractor]:
    torch.manual_seed(0)
    vision = transformers.CLIPVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=8,
    )
    vit = transformers.ViTConfig, {"image_size": 96, "patch_size": 16, "num_labels": 3}
    dino = transformers.Dinov2Config, {"image_size": 64, "patch_size": 8}
    return {
        "filters": filters(),
        "efficientnet": efficientnet(EfficientNetLite0()),
        "clip": transformer("clip", transformers.CLIPVisionModel(vision), Processor),
        "vit": transformer("vit", tiny(transformers.ViTForImageClassification, vit[0], **vit[1]), Processor),
        "dino": transformer("dino", tiny(transformers.Dinov2Model, dino[0], **dino[1]), Processor),
    }


SHAPES = {
    "filters": ((27, 64, 64), (81,)),
    "efficientnet": ((152, 32, 32), (1280,)),
    "clip": ((64, 32, 32), (96,)),
    "vit": ((64, 6, 6), (96,)),
    "dino": ((64, 32, 32), (96,)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_backbone_gives_a_map_and_a_vector_the_same_alone_and_in_a_batch(name: str) -> None:
    extractor, image = extractors()[name], photograph()
    images = [image, image.rotate(90), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    seen = torch.stack([pixels(each, extractor.side) for each in images])
    with torch.no_grad():
        maps, pooled = extractor.module(seen)
        alone = [extractor.module(one[None]) for one in seen]
        assert torch.equal(vectors(extractor.module, seen[2:]), alone[2][1])
    assert (tuple(maps.shape[1:]), tuple(pooled.shape[1:])) == SHAPES[name]
    torch.testing.assert_close(maps, torch.cat([one for one, _ in alone]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pooled, torch.cat([one for _, one in alone]), atol=1e-4, rtol=1e-4)
    assert not torch.equal(pooled[0], pooled[1])


def test_a_name_says_which_weights() -> None:
    torch.manual_seed(1)
    assert efficientnet(EfficientNetLite0()).name != extractors()["efficientnet"].name
    assert extractors()["clip"].name == extractors()["clip"].name


def test_filters_hardly_see_another_exposure() -> None:
    image = pixels(photograph(), 256)[None]
    module = filters().module
    brighter = module(image * 0.8)[0]
    same, other = module(image)[0], module(image.flip(3))[0]
    assert (brighter - same).abs().mean() < 0.3 * (other - same).abs().mean()


def test_a_picture_is_upright_before_it_is_read() -> None:
    image = photograph()
    turned = image.rotate(90, expand=True)
    turned.getexif()[0x0112] = 6  # to be turned by 90° clockwise
    torch.testing.assert_close(pixels(turned, 64), pixels(image, 64), atol=0.02, rtol=0)


def test_a_model_without_patches_is_refused() -> None:
    model = torch.nn.Linear(1, 1)
    model.config = transformers.ResNetConfig()
    with pytest.raises(ModelError, match="isn't a transformer with square patches"):
        transformer("resnet", model, Processor)


@pytest.mark.skipif(not (FETCHED / "packages" / "efficientnet-lite0").is_dir(), reason="not fetched")
def test_the_real_efficientnet_is_licensed_and_named() -> None:
    from vision.readers.photo.models import load_photograph

    reader = load_photograph(
        FETCHED / "packages" / "efficientnet-lite0", "efficientnet-lite0", {}, "cpu", torch.float32
    )
    extractor = efficientnet(reader.model)
    assert extractor.licence == "Apache-2.0"
    assert extractor.name.startswith("efficientnet-lite0-")
