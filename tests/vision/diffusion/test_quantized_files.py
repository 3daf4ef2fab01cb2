"""Models that are quantised in their files: read by the package that made them, or refused by name."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import diffusers
import numpy as np
import pytest

from core.errors import ModelError
from proofs.vision import quantized
from proofs.vision.quantized import NEAR, models_of, pixels
from tests.vision.diffusion.test_loras import save_lora
from vision.diffusion import load
from vision.families import Mode
from vision.weights import memory


def quantised_in_files(source: Path, folder: Path, part: str, **given: object) -> Path:
    """Copy a model, and have a part say that it is quantised."""
    shutil.copytree(source, folder)
    path = folder / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": given}))
    return folder


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"quant_method": "nunchaku_lite"},
            "its transformer is quantised by nunchaku_lite, .* Atelier runs none",
        ),
        ({"quant_method": "sdnq"}, "quantised by sdnq, which needs `make setup EXTRAS=sdnq`"),
        ({"quant_method": "torchao"}, "quantised by torchao, which needs `make setup EXTRAS=quantize`"),
        ({"load_in_4bit": True}, "quantised by bitsandbytes, which needs `make setup EXTRAS=quantize`"),
        ({"quant_method": "quanto"}, "house doesn't load: .*quanto"),
        ({"quant_method": "chalk"}, "house doesn't load: Unknown quantization type, got chalk"),
    ],
)
def test_files_that_are_quantised_in_a_way_that_is_not_read_here_are_refused(
    given: dict, words: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = quantised_in_files(folders["z-image"], tmp_path / "house", "transformer", **given)
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=words):
        models_of(house, tmp_path).get("image")


@pytest.mark.skipif(find_spec("sdnq") is None, reason="the extra sdnq isn't installed")
def test_files_that_are_quantised_by_sdnq_draw_nearly_the_same_and_take_loras(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    house, small = tmp_path / "house", {"minimum_allowed_numel": 1, "minimum_allowed_channel_size": 1}
    shutil.copytree(folders["flux"], house)
    how = diffusers.SDNQConfig(weights_dtype="int8", group_size=-1, **small)
    made = diffusers.FluxTransformer2DModel.from_pretrained(house / "transformer", quantization_config=how)
    shutil.rmtree(house / "transformer")
    made.save_pretrained(house / "transformer")
    save_lora("flux", tmp_path / "ink.safetensors", 0, ("transformer",), 6.0)
    more = {"loras": {"ink": str(tmp_path / "ink.safetensors")}}
    plain, own = models_of(folders["flux"], tmp_path, **more), models_of(house, tmp_path, **more)
    denoiser = own.image(None).pipeline(Mode.TEXT).transformer
    assert any(type(one).__name__ == "SDNQLinear" for one in denoiser.modules())
    assert 0 < np.abs(pixels(plain) - pixels(own)).mean() < NEAR["int8"]
    request = replace(quantized.REQUEST, loras=(("ink", 1.0),))
    changed, ours = (pixels(one, request) - pixels(one) for one in (plain, own))
    assert np.abs(changed).mean() > 10 and np.abs(changed - ours).mean() < NEAR["int8"]
    assert memory.sizes(house, 4)["off"].total < memory.sizes(folders["flux"], 4)["off"].total
