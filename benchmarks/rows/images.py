"""What is done with a picture: from the decoder's tensor to the bytes of a lossless file, and a preview of a
running job."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from benchmarks import models as samples
from benchmarks.measure import (
    Chart,
    Check,
    Figure,
    Goal,
    Result,
    apart,
    check,
    cpu_ms,
    interleaved,
    times_less,
)
from benchmarks.models import DEMO, image_model
from benchmarks.rows import Options, Row
from core.requests import ImagineRequest
from vision.capabilities import imagine
from vision.diffusion import task, vae
from vision.diffusion.generate import generate
from vision.diffusion.model import ImageModel, decode
from vision.diffusion.vae import pixels_of
from vision.engine import layouts
from vision.families import Mode
from vision.images import encode as pictures
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models
from vision.worker.pipe import PREVIEW_EVERY

SIDE = 1024
ROUNDS = 3


def measure_image_tail(options: Options) -> Result:
    """Both ways on a drawing and on a photo-like picture; the pixels that come back must be the same."""
    figures, checks, series = [], [], {}
    for kind, picture in (("drawing", samples.drawing(SIDE)), ("photo", samples.photo(SIDE))):
        decoded = samples.decoded(picture)
        ways = {"diffusers + Pillow": _plain(decoded), "PNG": _ours(decoded)}
        plain, ours = (work() for work in ways.values())
        checks.append(check(f"pixels of the {kind}", [apart(_read(ours), _read(plain))], 0))
        costs = {
            name: cpu_ms(found) for name, found in interleaved(ways, options.repeats, rounds=ROUNDS).items()
        }
        faster = times_less(costs["diffusers + Pillow"], costs["PNG"])
        figures.append(Figure(f"PNG, {kind}", faster, "× less", goal=Goal(at_least=3)))
        figures.append(Figure(f"PNG, {kind}: bytes", [len(ours) / len(plain)], "×", goal=Goal(at_most=1.1)))
        series |= {f"{name}, {kind}": found for name, found in costs.items()}
    return Result(tuple(figures), tuple(checks), Chart("CPU ms a picture", series))


def _plain(decoded: torch.Tensor) -> Callable[[], bytes]:
    from diffusers.image_processor import VaeImageProcessor

    processor = VaeImageProcessor()

    def work() -> bytes:
        buffer = io.BytesIO()
        processor.postprocess(decoded, output_type="pil")[0].save(buffer, "PNG")
        return buffer.getvalue()

    return work


def _ours(decoded: torch.Tensor) -> Callable[[], bytes]:
    return lambda: pictures.png(Image.fromarray(pixels_of(decoded)[0])).data


def _read(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


PICTURES = 4
SHOWN = ("a red house", "a red house in the snow", "a blue boat at sea")
ALLOWED = 36  # of 255: the map is linear; the shipped models' pictures of SHOWN come to 25 to 30


def measure_preview(options: Options) -> Result:
    """The preview as a worker makes it, from latents to JPEG, and the linear map in it alone."""
    model = image_model(DEMO, options.folder)
    pipe, side = model.pipeline(Mode.TEXT), model.card.native_size
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(PICTURES, 4, side // 8, side // 8, generator=generator)
    words = torch.randn(2 * PICTURES, 77, pipe.unet.config.cross_attention_dim, generator=generator)
    map_ = model.latent_map  # fitted once for a model

    def step() -> None:
        with torch.no_grad():
            pipe.unet(torch.cat([latents] * 2), 500, encoder_hidden_states=words, return_dict=False)

    def whole() -> bytes:
        aim = vae.predicted(pipe.scheduler, latents, latents)
        return pictures.preview(map_.pictures(model.family.unpack(pipe, aim, side, side)))

    steps = cpu_ms(interleaved({"step": step}, options.repeats)["step"])
    ways = interleaved(
        {"preview": whole, "linear map": lambda: map_.pictures(latents)}, options.repeats, rounds=20
    )
    costs = {name: cpu_ms(found) for name, found in ways.items()}
    share = {
        name: tuple(100 * part / step for part, step in zip(found, steps, strict=True))
        for name, found in costs.items()
    }
    figures = (
        Figure("preview with its encoding, of a step", share["preview"], "%", goal=Goal(at_most=1)),
        Figure("linear map alone, of a step", share["linear map"], "%", goal=Goal(at_most=1)),
    )
    notes = (
        (
            f"A worker makes one at most every {PREVIEW_EVERY} s for each job, so over a whole job it is less"
            " still."
        ),
    )
    return Result(
        figures,
        (_shows_the_picture(model),),
        Chart("CPU ms", {"step": steps, **costs}, log=True),
        notes,
    )


def _shows_the_picture(model: ImageModel) -> Check:
    """Mean difference between what the map shows of decoded pictures' latents and those pictures, in
    0..255."""
    return check(
        "mean difference of preview and picture, of 255", [_apart(model, words) for words in SHOWN], ALLOWED
    )


def _apart(model: ImageModel, words: str) -> float:
    """The same of one picture drawn from ``words``, at a pixel a latent cell."""
    pipe, side = model.pipeline(Mode.TEXT), model.card.native_size
    given = {
        "height": side,
        "width": side,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "latent",
    }
    drawn = pipe(words, num_inference_steps=model.card.num_inference_steps, **given).images
    latents = model.family.unpack(pipe, drawn, side, side)
    with torch.no_grad():
        decoded = pipe.vae.decode(latents, return_dict=False)[0]
    small = (
        torch.nn.functional.interpolate(decoded, size=latents.shape[-2:], mode="area")[0].permute(1, 2, 0)
        * 127.5
        + 127.5
    )
    shown = torch.tensor(
        list(model.latent_map.pictures(latents)[0].get_flattened_data()), dtype=torch.float32
    ).view_as(small)
    return float((small - shown).abs().mean())


ROUNDING = 1  # of 255, in a drawn picture before it is enlarged


def measure_layouts(options: Options) -> Result:
    """Pictures of 12 steps with guidance, decoded and enlarged, by a model of each kind in turns."""
    with patch.object(layouts, "pack", lambda module, device: None):
        plain = image_model(DEMO, options.folder)
    ours = image_model(DEMO, options.folder)
    figures, series, apart_from_plain, alone = [], {}, list[float](), list[float]()
    for count, name in ((PICTURES, "grid of four"), (1, "one picture")):
        ways = {
            which: partial(_drawn, model, count) for which, model in (("plain", plain), ("laid out", ours))
        }
        costs = {which: cpu_ms(found) for which, found in interleaved(ways, options.repeats).items()}
        share = tuple(b / a for a, b in zip(costs["plain"], costs["laid out"], strict=True))
        figures.append(Figure(name, share, "of the plain layers' time", goal=Goal(at_most=0.75)))
        series |= {f"{which}, {name}": found for which, found in costs.items()}
    for words in SHOWN:
        pictures_of = {
            which: _drawn(model, PICTURES, words) for which, model in (("plain", plain), ("ours", ours))
        }
        apart_from_plain += [apart(a, b) for a, b in zip(*pictures_of.values(), strict=True)]
        alone.append(apart(_drawn(ours, 1, words)[0], pictures_of["ours"][0]))
    checks = (
        check("pictures before they are enlarged, of 255", apart_from_plain, ROUNDING),
        check("a picture alone and in a grid of four, of 255", alone, 0),
    )
    return Result(tuple(figures), checks, Chart("CPU ms", series))


def _drawn(model: ImageModel, count: int, words: str = SHOWN[0]) -> list[np.ndarray]:
    """The decoded pictures; enlarged as well, for the time that it takes."""
    pipe, side = model.pipeline(Mode.TEXT), model.card.native_size
    latents = pipe(
        words,
        num_images_per_prompt=count,
        num_inference_steps=model.card.num_inference_steps,
        guidance_scale=model.card.guidance_scale,
        height=side,
        width=side,
        generator=[torch.Generator().manual_seed(seed) for seed in range(count)],
        output_type="latent",
    ).images
    drawn = [decode(model, pipe, one[None])[0] for one in model.family.unpack(pipe, latents, side, side)]
    for picture in drawn:
        model.enlarged(picture)
    return [np.asarray(picture) for picture in drawn]


def measure_sheet(options: Options) -> Result:
    """A sheet of drafts as /imagine draws it, and a grid; a draft must be what its seed gives alone."""
    models = Models(
        WorkerConfig("cpu", {"image": str(DEMO)}, str(options.folder), cpu_threads=1, allow_download=False)
    )
    sheet = ImagineRequest(prompt="a house in the snow", seed=7, draft=True, num_images=24)
    grid, reporter = replace(sheet, draft=False, num_images=4), Reporter()
    ways = {
        "grid of four": lambda: imagine.run(grid, {}, models, reporter),
        "sheet of 24": lambda: imagine.run(sheet, {}, models, reporter),
        "grid, drawn alone": lambda: generate(model, begun[0], reporter),
        "sheet, drawn alone": lambda: generate(model, begun[1], reporter),
    }
    model = models.image(None, reporter)
    begun = [task.prepare_pictures(one, {}, model).generation for one in (grid, sheet)]
    drafts = ways["sheet of 24"]().pictures
    alone = [
        imagine.run(replace(sheet, seed=sheet.seed_of(n), num_images=1), {}, models, reporter).pictures[0]
        for n in (0, 6, 23)
    ]
    found = [apart(_read(one.data), _read(drafts[n].data)) for n, one in zip((0, 6, 23), alone, strict=True)]
    costs = {name: cpu_ms(cost) for name, cost in interleaved(ways, options.repeats).items()}
    grids = times_less(costs["sheet of 24"], costs["grid of four"])
    drawn = times_less(costs["sheet, drawn alone"], costs["grid, drawn alone"])
    figures = (
        Figure("sheet, in grids", grids, "×", goal=Goal(at_most=4)),
        Figure("the same without enlarging and files", drawn, "×", goal=Goal(at_most=4)),
    )
    checks = (check("a draft of the sheet and the same alone, of 255", found, 0),)
    return Result(figures, checks, Chart("CPU ms", costs))


ROWS = {
    "sheet": Row(
        "A sheet of 24 drafts, enlarged and encoded (demo model, one thread)",
        "a grid of four pictures in full",
        measure_sheet,
    ),
    "layouts": Row(
        "A picture on a processor: the demo model's weights laid out once",
        "the same model with torch's own layers; one thread",
        measure_layouts,
    ),
    "image_tail": Row(
        "Image tail: decoded tensor → lossless bytes, 1024 px",
        "diffusers' VaeImageProcessor and `image.save(…, 'PNG')` with Pillow's defaults",
        measure_image_tail,
    ),
    "preview": Row(
        "Preview of a step",
        "one denoising step of the same four pictures with guidance (demo model, 128 px)",
        measure_preview,
    ),
}
