"""Tiny decoders: drafts are decoded by them, nothing else is, and one that doesn't fit costs nothing but
itself. They are tiny and random."""

import copy
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from core.requests import ImagineRequest
from core.settings import load_settings as load_settings
from host import doctor
from tests.support import tiny
from tests.vision.conftest import ask, cpu_models
from tests.vision.diffusion.test_checkpoint import MODES, Died, Kept, pictures, resumes_everywhere
from tests.vision.diffusion.test_generate import tamper
from tests.vision.families.test_families import pixels
from vision import describe_models
from vision.diffusion.model import BlankPicture
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.store import Models
from vision.weights import files
from vision.worker import main

FAMILIES = ("stable-diffusion", "stable-diffusion-xl", "stable-diffusion-3", "flux", "z-image")
REQUEST = ImagineRequest(prompt="a red house", seed=7, num_images=2, draft=True)


def save(folder: Path, channels: int = 4, seed: int = 0, levels: int = 4) -> Path:
    """As madebyollin/taesd lies on the hub, with fewer channels."""
    torch.manual_seed(seed)
    widths, blocks = (8,) * levels, (1,) * levels
    AutoencoderTiny(
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        latent_channels=channels,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks,
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def make(folders: dict[str, Path], tmp_path: Path) -> Callable[..., Models]:
    def models(family: str, decoder: Path | str | None, **more) -> Models:
        tiny_vaes = {family: str(decoder)} if decoder else {}
        return cpu_models(
            {"image": folders[family]}, tmp_path / "cache", cpu_threads=1, tiny_vaes=tiny_vaes, **more
        )

    return models


@pytest.mark.parametrize("family", FAMILIES)
def test_a_draft_is_what_diffusers_own_pipeline_decodes_with_it(family: str, make, folders, tmp_path) -> None:
    own = json.loads((folders[family] / "vae" / "config.json").read_text())
    folder = save(tmp_path / "tiny", own["latent_channels"], levels=len(own["block_out_channels"]))
    models = make(family, folder)
    got = ask(models, replace(REQUEST, num_images=1)).pictures[0]
    model = models.get("image")
    pipe = copy.copy(model.pipeline(Mode.TEXT))
    vars(pipe)["vae"] = AutoencoderTiny.from_pretrained(folder)
    pipe.scheduler = model.scheduler(None)
    wanted = pipe(
        "a red house",
        num_inference_steps=2,
        guidance_scale=1.0,
        width=tiny.SIDE,
        height=tiny.SIDE,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).images[0]
    assert wanted.std() > 0.01, "there is something to see"
    assert np.abs(pixels(got) - (wanted * 255).round()).max() <= 1


def test_other_jobs_keep_the_models_own_decoder(make, tmp_path: Path) -> None:
    bare, models = make("stable-diffusion", None), make("stable-diffusion", save(tmp_path / "tiny"))
    usual = replace(REQUEST, draft=False)
    assert pictures(ask(models, usual)) == pictures(ask(bare, usual))
    assert pictures(ask(models, REQUEST)) != pictures(ask(bare, REQUEST))
    assert pictures(ask(models, usual)) == pictures(ask(bare, usual)), "also after a draft"


@pytest.mark.parametrize("mode", MODES)
def test_a_draft_that_lost_its_worker_ends_in_the_same_bytes(mode: str, make, tmp_path: Path) -> None:
    request = replace(MODES[mode], draft=True)
    resumes_everywhere(make("stable-diffusion", save(tmp_path / "tiny")), request, tmp_path, (0, 0.5, 1))


def test_what_another_decoder_began_is_not_gone_on_with(make, tmp_path: Path, caplog) -> None:
    bare, models = make("stable-diffusion", None), make("stable-diffusion", save(tmp_path / "tiny"))
    for draft in (False, True):
        request, folder = replace(MODES["words"], draft=draft), tmp_path / str(draft)
        with pytest.raises(Died):
            ask(bare, request, reporter=Kept(folder, die_after=3))
        assert "another drawing" not in caplog.text
        ask(models, request, reporter=(again := Kept(folder)))
        assert ("another drawing" in caplog.text) is draft and again.steps[0][0] == (1 if draft else 4)


@pytest.mark.parametrize("name", ["words", "a picture", "a mask"])
@pytest.mark.parametrize("tile", [False, True])
def test_every_way_to_draw_takes_it(name: str, tile: bool, make, tmp_path: Path) -> None:
    bare, models = make("stable-diffusion", None), make("stable-diffusion", save(tmp_path / "tiny"))
    request, start = replace(MODES[name], draft=True, tile=tile), tiny.picture(96, 64)
    mine, usual = ask(models, request, start), ask(bare, request, start)
    assert [pixels(p).shape for p in mine.pictures] == [pixels(p).shape for p in usual.pictures]
    assert pictures(mine) != pictures(usual)


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_a_decoder_that_gives_nothing_is_told(value: float, make, tmp_path: Path) -> None:
    models = make("stable-diffusion", save(tmp_path / "tiny"))
    vae = models.get("image").tiny_decoder.vae
    tamper(
        vae,
        "decode",
        lambda original, *args, **kwargs: (torch.full_like(original(*args, **kwargs)[0], value),),
    )
    with pytest.raises(BlankPicture):
        ask(models, REQUEST)


def wrong(kind: str, folder: Path, folders: dict[str, Path]) -> Path | str:
    if kind == "another model":
        return folders["stable-diffusion"] / "vae"
    if kind == "one file":
        return save(folder) / "diffusion_pytorch_model.safetensors"
    if kind == "a pin that isn't its own":
        return f"{save(folder)}@sha256:{'0' * 64}"
    save(folder, channels=16 if kind == "channels" else 4, levels=3 if kind == "factor" else 4)
    if kind == "code":
        (folder / "modeling.py").write_text("raise SystemExit")
    if kind == "missing weights":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_decoder_blocks": [1, 1, 1, 2]}))
    return folder


KINDS = {
    "channels": "16 channels",
    "factor": "4 times",
    "code": "its own code",
    "missing weights": "lacks weights",
    "another model": "isn't a tiny decoder",
    "one file": "isn't a tiny decoder",
    "a pin that isn't its own": "isn't what was pinned",
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_does_not_fit_is_refused_and_drafts_go_on_without(
    kind: str, make, folders: dict[str, Path], tmp_path: Path, caplog
) -> None:
    models = make("stable-diffusion", wrong(kind, tmp_path / "tiny", folders))
    assert pictures(ask(models, REQUEST)) == pictures(ask(make("stable-diffusion", None), REQUEST))
    assert KINDS[kind] in caplog.text and "its own decoder" in caplog.text
    assert KINDS[kind] in models.loader.tiny_problems["stable-diffusion"]


def test_a_family_whose_latents_need_its_own_decoder_refuses(make, tmp_path: Path, caplog) -> None:
    make("flux2-klein", save(tmp_path / "tiny")).get("image")
    assert "normalised by the model's own decoder" in caplog.text


def test_a_pinned_one_is_taken(make, tmp_path: Path) -> None:
    folder = save(tmp_path / "tiny")
    models = make("stable-diffusion", f"{folder}@sha256:{files.digest(folder)}")
    assert models.get("image").tiny_decoder is not None


def test_the_list_of_models_shows_and_tries_them(
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, bad = save(tmp_path / "good"), save(tmp_path / "bad", channels=16)
    environment = {
        "IMAGE_MODEL": str(folders["stable-diffusion"]),
        "IMAGE_MODELS": f"xl={folders['stable-diffusion-xl']}",
        "DATA_DIR": str(tmp_path),
        "TINY_VAES": f"stable-diffusion={good}, stable-diffusion-xl={bad}, sdxl={good}, flux={good}",
    }
    settings = load_settings(environment, Path("/nonexistent/.env"))
    configured = {
        role: spec for role, spec in doctor.configured(settings).items() if role.startswith(("image", "tiny"))
    }
    infos = {info.role: info for info in describe_models.describe_models(configured, tmp_path)}
    assert infos["image xl"].family == "Stable Diffusion XL" and "jobs share steps" in infos["image xl"].notes
    assert "4 channels" in infos["tiny stable-diffusion"].notes[0]
    assert "no family sdxl" in infos["tiny sdxl"].problem
    assert "stable-diffusion-xl" in infos["tiny sdxl"].problem
    del configured["tiny sdxl"]

    def probed(arguments: list[str], timeout: float) -> list[dict[str, Any]]:
        """What another process would have said; that there is one is tested in tests/vision/weights."""
        describe_models.main(arguments)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]

    monkeypatch.setattr(describe_models, "_probe", probed)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    tried = dict(describe_models.try_models(configured, tmp_path))
    assert tried.keys() == configured.keys()
    assert [tried[role] for role in ("image", "image xl", "tiny stable-diffusion")] == ["", "", ""]
    assert "16 channels" in tried["tiny stable-diffusion-xl"]
    assert "nothing to try it with" in tried["tiny flux"]


def test_a_worker_is_offline_only_once_everything_is_here(folders: dict[str, Path], tmp_path: Path) -> None:
    here = WorkerConfig(
        "cpu",
        {"image": str(folders["flux"])},
        str(tmp_path),
        loras={"ink": str(tmp_path / "ink.safetensors")},
    )
    assert main.everything_here(here)
    for more in (
        {"tiny_vaes": {"flux": "owner/name"}},
        {"loras": {"a": "owner/name"}},
        {"image_models": {"v6": "owner/name"}},
    ):
        assert not main.everything_here(replace(here, **more))
