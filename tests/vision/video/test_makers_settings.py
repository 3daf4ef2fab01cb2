"""Video models are drawn with as their makers say: steps, guidance, the noise scheduler's shift, distilled
weights; and LoRAs for few steps are added to them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES
from safetensors.torch import save_file

from core.errors import ModelError, UserError
from proofs.vision.video.operations import drawn, shots
from tests.vision.video import tiny_videos
from vision.reporter import Reporter
from vision.video import pipeline
from vision.video.families import FAMILIES, Operation, Take
from vision.video.families.family import VideoCard, make_video_card
from vision.video.generate import generate
from vision.video.model import VideoModel, family_and_card, load_video_model
from vision.weights.memory import Plan

Models = Callable[[str], VideoModel]
LARGE, SMALL = ({"transformer": {"num_attention_heads": heads}} for heads in (40, 12))
TWO = {**LARGE, "transformer_2": {"num_attention_heads": 40}}


def card(family: str, configs: dict[str, Any], own: dict[str, Any] | None = None) -> VideoCard:
    [found] = [one for one in FAMILIES if one.name == family]
    return make_video_card(found.defaults(), found.adjust(configs), own or {})


@pytest.mark.parametrize(
    ("family", "configs", "steps", "guidance", "second", "shifts"),
    [
        ("wan", LARGE, 50, 5.0, None, (3.0, 5.0)),
        ("wan", SMALL, 50, 6.0, None, (8.0, 8.0)),
        ("wan", TWO, 40, 4.0, 3.0, (12.0, 12.0)),
        ("wan-first", LARGE, 40, 5.0, None, (3.0, 5.0)),
        ("wan-first-last", LARGE, 50, 5.0, None, (16.0, 16.0)),
        ("wan-pictures", TWO, 40, 3.5, None, (5.0, 5.0)),
        ("wan-5b", {}, 50, 5.0, None, (5.0, 5.0)),
        ("wan-vace", SMALL, 50, 5.0, None, (16.0, 16.0)),
    ],
)
def test_each_kind_of_wan_is_drawn_with_as_its_makers_do(
    family: str, configs: dict, steps: int, guidance: float, second: float | None, shifts: tuple
) -> None:
    found = card(family, configs)
    assert (found.num_inference_steps, found.guidance_scale, found.guidance_scale_2) == (
        steps,
        guidance,
        second,
    )
    assert (found.flow_shift["480"], found.flow_shift["720"]) == shifts


def test_a_scheduler_that_somebody_has_trained_for_keeps_its_shift() -> None:
    assert card("wan", LARGE | {"scheduler": {"flow_shift": 7.0}}).flow_shift == {}
    assert card("wan", LARGE | {"scheduler": {"flow_shift": 3.0}}).flow_shift["720"] == 5.0
    own = card("wan", LARGE, {"flow_shift": {"720": 9}}).flow_shift
    assert own == {"480": 3.0, "720": 9}


@pytest.mark.parametrize(
    "own", [{"flow_shift": {"1080": 3}}, {"flow_shift": {"480": 0}}, {"sigmas": [1.5]}, {"flow_shift": 3}]
)
def test_a_shift_or_noise_that_cant_be_is_refused(own: dict) -> None:
    with pytest.raises(ModelError, match=r"atelier\.json"):
        card("wan", LARGE, own)


@pytest.mark.parametrize(("size", "shift"), [((32, 32), 3.0), ((1280, 720), 5.0)])
def test_the_noise_of_a_step_is_shifted_by_the_size(video_model: Models, size: tuple, shift: float) -> None:
    model = video_model("wan")
    pipe, family = pipeline.VideoPipeline(model, take_of(model), Reporter(), 1).pipe, model.family
    family.prepare(pipe, replace(take_of(model), width=size[0], height=size[1]), card("wan", LARGE))
    pipe.scheduler.set_timesteps(2)
    assert float(pipe.scheduler.sigmas[1]) == pytest.approx(
        shift * 0.5005 / (1 + (shift - 1) * 0.5005), abs=1e-3
    )
    assert model.pipe.scheduler.config.flow_shift == 3.0, "the model's own is as it was"


def take_of(model: VideoModel) -> Any:
    """A call of the model from words."""
    return Take("a red ball", "", 7, 32, 32, 5, 16, 2, model.card.guidance_scale)


def test_the_transformer_for_the_low_noise_is_guided_less(video_model: Models, monkeypatch) -> None:
    model = video_model("wan-a14b")
    assert (model.card.guidance_scale, model.card.guidance_scale_2) == (4.0, 3.0)
    given = pipeline.call_arguments(model.family, model.pipe, take_of(model), model.card)
    assert (given["guidance_scale"], given["guidance_scale_2"]) == (4.0, 3.0)
    asked = replace(take_of(model), guidance_scale=7.0)
    assert "guidance_scale_2" not in pipeline.call_arguments(model.family, model.pipe, asked, model.card)
    remixed = replace(take_of(model), source=(None,), strength=0.5)
    pipe = model.pipeline("WanVideoToVideoPipeline")
    assert pipeline.call_arguments(model.family, pipe, remixed, model.card)["guidance_scale"] == 3.0


def test_a_distilled_ltx2_is_known_by_its_scheduler_and_drawn_with_its_eight_sigmas(
    video_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = card("ltx2", {"scheduler": {"use_dynamic_shifting": True, "shift_terminal": 0.1}})
    assert (dev.num_inference_steps, dev.guidance_scale, dev.sigmas) == (30, 3.0, ())
    found = card("ltx2", {"scheduler": {"use_dynamic_shifting": False, "shift_terminal": None}})
    assert (found.num_inference_steps, found.guidance_scale) == (8, 1.0)
    assert list(found.sigmas) == DISTILLED_SIGMA_VALUES
    model, seen = video_model("ltx2"), []
    monkeypatch.setattr(model, "card", replace(found, native_size=64))
    forward = model.pipe.transformer.forward

    def watched(*given: Any, **more: Any) -> Any:
        seen.append((float(more["timestep"].flatten()[0]) / 1000, len(more["hidden_states"])))
        return forward(*given, **more)

    monkeypatch.setattr(model.pipe.transformer, "forward", watched)
    shot = replace(shots(model)[Operation.WORDS], num_inference_steps=8, guidance_scale=1.0)
    assert len(drawn(generate(model, shot, Reporter()))) == shot.frames
    assert [noise for noise, _ in seen] == pytest.approx(DISTILLED_SIGMA_VALUES, abs=1e-5)
    assert {rows for _, rows in seen} == {1}, "no pass for any guidance"
    fewer = replace(take_of(model), num_inference_steps=4)
    given = pipeline.call_arguments(model.family, model.pipeline("LTX2ConditionPipeline"), fewer, found)
    assert given["sigmas"] == [DISTILLED_SIGMA_VALUES[i] for i in (0, 2, 4, 6)]


# LoRAs

LAYERS = ("attn1.to_q", "attn2.to_k", "ffn.net.0.proj")
THEIRS = {"attn1.to_q": "self_attn.q", "attn2.to_k": "cross_attn.k", "ffn.net.0.proj": "ffn.0"}


def lightning(path: Path, transformer: Any, seed: int) -> dict[str, torch.Tensor]:
    """Write a LoRA as lightx2v's files for Wan are: names of Wan's own code, an alpha beside each. Returns
    what it adds to each weight."""
    generator, tensors, added = torch.Generator().manual_seed(seed), dict[str, torch.Tensor](), {}
    for block in range(len(transformer.blocks)):
        for name in LAYERS:
            weight = transformer.get_submodule(f"blocks.{block}.{name}").weight
            down = torch.randn(4, weight.shape[1], generator=generator) / 4
            up = torch.randn(weight.shape[0], 4, generator=generator) / 4
            stem = f"diffusion_model.blocks.{block}.{THEIRS[name]}"
            tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
            tensors[f"{stem}.alpha"] = torch.tensor(2.0)
            added[f"blocks.{block}.{name}"] = 2.0 / 4 * up @ down
    save_file(tensors, path)
    return added


def loaded_with(
    folder: Path, loras: dict[str, str], own: dict[str, Any] | None = None, quantize: str = "off"
) -> VideoModel:
    """The model in ``folder`` with LoRAs, which lie beside it under their names."""
    given = {"native_size": 64, "loras": loras, **(own or {})}
    (folder / "atelier.json").write_text(json.dumps(given))

    def find(name: str, reporter: Reporter) -> Path:
        path = folder.parent / f"{name}.safetensors"
        if not path.exists():
            raise UserError(f"`lora` is `{name}`; it takes one of: high, low.")
        return path

    return load_video_model(
        folder,
        "wan",
        device="cpu",
        dtype=torch.float32,
        plan=Plan(quantize),
        report=lambda share: None,
        find_lora=find,
    )


def test_a_lora_for_each_transformer_is_added_to_its_weights_and_few_steps_follow(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan-a14b", tmp_path / "wan")
    plain = loaded_with(folder, {})
    parts = {"transformer": "high", "transformer_2": "low"}
    added = {
        part: lightning(tmp_path / f"{name}.safetensors", getattr(plain.pipe, part), seed)
        for seed, (part, name) in enumerate(parts.items())
    }
    model = loaded_with(folder, parts)
    for part, changes in added.items():
        for name, change in changes.items():
            before, after = (getattr(one.pipe, part).get_submodule(name).weight for one in (plain, model))
            assert torch.allclose(after - before, change, atol=1e-5)
        assert not any("lora" in name for name, _ in getattr(model.pipe, part).named_modules())
    assert (model.card.num_inference_steps, model.card.guidance_scale, model.card.guidance_scale_2) == (
        4,
        1,
        1,
    )
    assert model.card.flow_shift == {"480": 5.0, "720": 5.0} and model.identity != plain.identity
    shot = replace(shots(model)[Operation.WORDS], num_inference_steps=4, guidance_scale=1.0)
    assert not np.array_equal(*(drawn(generate(one, shot, Reporter())) for one in (plain, model)))
    said = loaded_with(folder, parts, {"num_inference_steps": 30}).card
    assert (said.num_inference_steps, said.guidance_scale) == (30, 4.0), "a card that says so keeps its steps"


def test_a_lora_of_quantised_weights_stays_beside_them_and_draws_as_much(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    folder = tiny_videos.save("wan", tmp_path / "wan")
    plain, loras = loaded_with(folder, {}), {"transformer": "high"}
    lightning(tmp_path / "high.safetensors", plain.pipe.transformer, 1)
    models = plain, loaded_with(folder, loras), loaded_with(folder, loras, quantize="int8")
    without, merged, beside = (
        drawn(generate(one, shots(one)[Operation.WORDS], Reporter())).astype(int) for one in models
    )
    assert any("lora_A" in name for name, _ in models[2].pipe.transformer.named_modules())
    assert np.abs(beside - merged).mean() < 0.25 * np.abs(without - merged).mean()


@pytest.mark.parametrize(
    ("loras", "why"),
    [
        ({"transformer": "none"}, "it takes one of: high, low"),
        ({"transformer_2": "low"}, "this model has no such part"),
        ({"vae": "low"}, "this model has no such part"),
        ({"transformer": "other"}, "it has no weights for this model"),
    ],
)
def test_a_lora_that_cant_be_added_is_told_with_its_name(tmp_path: Path, loras: dict, why: str) -> None:
    folder = tiny_videos.save("wan", tmp_path / "wan")
    save_file({"unet.x.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    save_file({"unet.x.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "low.safetensors")
    [name] = loras.values()
    with pytest.raises(ModelError, match=rf"atelier\.json: the LoRA '{name}' for .* can't be added: .*{why}"):
        loaded_with(folder, loras)


def test_the_card_of_a_folder_sees_its_noise_scheduler(tmp_path: Path) -> None:
    folder = tiny_videos.save("wan", tmp_path / "wan")
    assert family_and_card(folder)[1].flow_shift == {"480": 3.0, "720": 5.0}
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"flow_shift": 7.0}))
    assert family_and_card(folder)[1].flow_shift == {}
