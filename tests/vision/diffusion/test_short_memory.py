"""What becomes of a picture for which a card has too little memory: it is drawn in a smaller way, or refused
with a sentence, and everything is afterwards as it was. On cards that aren't there, with tiny models whose
pictures are real. Full size: ``python -m tools.short_memory``."""

from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops

from core.events import Picture
from tools import full_size
from tools.hollow_card import HollowCard
from tools.memory_needs import hollow_card
from tools.short_memory import PICTURES, Card, begin, draw, request
from vision.diffusion import vae
from vision.engine.engine import Engine
from vision.families import Mode
from vision.protocol import WorkerConfig
from vision.store import Models

AMPLE = Card("ample", 1 << 40, "none")


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("flux2-klein", (1.05, 0.8, 0.1)),
        *(
            pytest.param(name, (1.05, 0.5, 0.1), marks=pytest.mark.slow)
            for name in (
                "stable-diffusion",
                "stable-diffusion-xl",
                "z-image",
                "qwen-image",
            )
        ),
    ],
)
def test_on_ever_smaller_cards_a_picture_is_drawn_in_a_smaller_way_or_refused(
    name: str, shares: tuple[float, ...], folders: dict[str, Path]
) -> None:
    """shares: of what a drawing takes beside the weights that the card has."""
    plain = draw(folders[name], Card("ample", 1 << 40, "none"))
    assert plain.output and plain.ways == () and plain.is_back
    rooms = [round(plain.weights + share * (plain.peak - plain.weights)) for share in shares]
    found = [draw(folders[name], Card("", room, "none")) for room in rooms]
    assert all(one.is_back for one in found)
    assert found[0].ways == () and "parts" in found[-1].ways
    for one in found:
        if one.output is None:
            assert one.text == "64x64 px is too large for the memory of this device."
            assert "parts" in one.ways, "everything was tried"
        elif "tiles" not in one.ways:
            pairs = zip(one.output.pictures, plain.output.pictures, strict=True)
            assert all(apart(*pair) <= 1 for pair in pairs), one.ways
    drawn = [one.output is not None for one in found]
    assert drawn[0] and drawn == sorted(drawn, reverse=True), "less memory never draws more"


def apart(one: Picture, other: Picture) -> int:
    """By how much two pictures differ at most, of 255."""
    first, second = (Image.open(BytesIO(picture.data)).convert("RGB") for picture in (one, other))
    return max(high for _, high in ImageChops.difference(first, second).getextrema())


@pytest.fixture
def card() -> Iterator[HollowCard]:
    with hollow_card() as found:
        yield found


@pytest.fixture
def models(folders: dict[str, Path], card: HollowCard) -> Models:
    config: dict[str, Any] = {"allow_download": False, "offload": "none"}
    specs = {"image": str(folders["stable-diffusion"])}
    return Models(WorkerConfig("cuda:0", specs, str(folders["stable-diffusion"].parent / "data"), **config))


def test_while_one_picture_does_not_fit_the_others_wait_and_then_share_steps_as_before(
    models: Models, card: HollowCard
) -> None:
    """The wide picture runs out of memory wherever the weights are on the card, the other never."""
    [wanted, _], model, engine = request(models), models.image(None), Engine()
    weights, unet = card.live, model.pipeline(Mode.TEXT).unet

    def run_out(module: torch.nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        height, width = (args[0] if args else given["sample"]).shape[-2:]
        if height != width and model.offload == "none":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    unet.register_forward_pre_hook(run_out, with_kwargs=True)
    square, wide = begin(engine, models), begin(engine, models, aspect_ratio=(2, 1))
    engine.run()
    assert len(wide[0].pictures) == PICTURES and wide[0].pictures[0].width > wide[0].pictures[0].height
    assert all(apart(*pair) <= 1 for pair in zip(square[0].pictures, wanted.pictures, strict=True))
    assert card.live > 0.9 * weights and model.offload == "none" and models.share_steps
    assert [apart(*pair) for pair in zip(request(models)[0].pictures, wanted.pictures, strict=True)] == [0, 0]


def test_weights_whose_place_is_taken_come_back_with_the_first_job_after_it_is_free(
    models: Models, card: HollowCard
) -> None:
    model, weights = models.image(None), card.live
    card.capacity = round(1.5 * weights)
    with model.by_parts():
        assert card.live < 0.1 * weights
        other = torch.empty(weights, dtype=torch.uint8, device="cuda")
    assert model.offload == "model" and not models.share_steps and card.live < 1.1 * weights
    card.capacity = 3 * weights
    del other
    assert request(models)[0] and model.offload == "none" and models.share_steps and card.live >= weights


def test_passes_are_as_wide_as_before_once_more_memory_is_free(models: Models, card: HollowCard) -> None:
    rows, engine, model = list[int](), Engine(), models.image(None)
    card.capacity = 10 * card.live
    others = [torch.empty(5 * card.live, dtype=torch.uint8, device="cuda")]  # half of what is free

    def run_out(module: torch.nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        rows.append(len(given["sample"]))
        if others and rows[-1] == 2 * PICTURES:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.pipeline(Mode.TEXT).unet.register_forward_pre_hook(run_out, with_kwargs=True)
    for _ in range(2):
        begin(engine, models)
        engine.run()
    assert rows[0] == 2 * PICTURES and set(rows[1:]) == {PICTURES}, "remembered"
    others.clear()
    begin(engine, models)
    engine.run()
    assert rows[-1] == 2 * PICTURES


@pytest.mark.parametrize(
    "family",
    [
        "flux2-klein-4b",
        *(pytest.param(f, marks=pytest.mark.slow) for f in ("stable-diffusion-1.5", "qwen-image-2512")),
    ],
)
def test_a_decoder_in_tiles_needs_a_third_of_the_memory_at_native_size(family: str, card: HollowCard) -> None:
    part = full_size.read_architectures()[family]["parts"]["vae"]
    decoder = card.place(full_size.make_module(part["library"], part["class"], part["config"]).bfloat16())
    side, channels = (
        (64, 4) if family.startswith("stable") else (128, part["config"].get("latent_channels", 16))
    )
    latents, weights, peaks = (
        torch.empty(1, channels, side, side, dtype=torch.bfloat16, device="cuda"),
        card.live,
        [],
    )
    for way in (nullcontext(), vae.tiled(decoder), nullcontext()):
        card.reset()
        with way:
            vae.decode(decoder, latents)
        peaks.append(card.peak - weights)
    assert peaks[1] < peaks[0] / 3 and peaks[2] == peaks[0], [f"{peak / 2**30:.2f} GiB" for peak in peaks]
