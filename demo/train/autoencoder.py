"""Trains the autoencoder: pictures of 128 x 128 px to latents of 16 x 16 x 4 and back; teaches its decoder to
draw what the image generator means; and trains the upscaler of what it decodes (`vision.images.upscaler`).

A drawing's latents are brought part of the way to noise, and the generator draws them again from its words.
What comes of that has the faults of all its pictures (blunt points, filled gaps, soft outlines), and the
drawing says how it should look: the decoder learns to make the drawing of it. Of 96 drawings 88 % are well
formed through the autoencoder, 65 % when drawn again from half-way, 55 % of what is drawn from nothing.

The upscaler makes 512 px of a decoded picture of 128 px. It learns from drawn scenes of 512 px and what the
pack's autoencoder makes of the same scenes at 128 px, blurred by lot: what the UNet draws is softer than what
it has learned from, and a picture that is drawn larger than the model's own size is softer still.
"""

import random
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderTiny, StableDiffusionImg2ImgPipeline
from PIL import Image
from torch.nn.utils.parametrizations import spectral_norm
from torchvision.transforms.functional import gaussian_blur

from demo.drawing import SIZE, draw, layout, patches
from demo.train import unet
from demo.train.loop import PACK, WORK, Plan, Run, autocast, device, grown, shard, to_pictures, to_tensor
from demo.world import Scene, describe, training_scene
from vision.images.upscaler import Upscaler

FOLDER = PACK / "stable-diffusion" / "vae"
CHANNELS = 64
CROP = 64  # px; a crop holds an object more often than not, a whole picture is mostly background
BATCH = 12
MIX = {"large": 0.2, "single": 0.35, "several": 0.15, "pair": 0.27, "empty": 0.03}


def build() -> AutoencoderTiny:
    """No normalisation layers: they hide the absolute colour of flat areas and learn it slowly."""
    model = AutoencoderTiny(
        encoder_block_out_channels=(CHANNELS,) * 4,
        decoder_block_out_channels=(CHANNELS,) * 4,
        num_encoder_blocks=(0, 0, 2, 3),
        num_decoder_blocks=(10, 6, 1, 0),  # at 16, 32, 64 and 128 px
        latent_channels=4,
        scaling_factor=1.0,
        act_fn="relu",
    )
    return model.to(device(), memory_format=torch.channels_last)


def _crop(rng: random.Random) -> np.ndarray:
    """(CROP, CROP, 3) uint8: a part of a drawn picture, at a multiple of 8 px as the encoder sees it."""
    scene = training_scene(rng, MIX, held_pairs=True)
    placed = layout(scene, rng)
    picture = np.asarray(draw(scene, rng, placed=placed))
    if placed and rng.random() < 0.8:
        thing = rng.choice(placed)
        x, y = (round((c * SIZE - CROP / 2) / 8) + rng.randint(-2, 2) for c in (thing.x, thing.y))
    else:
        x, y = rng.randint(0, 8), rng.randint(0, 8)
    x, y = (8 * min(max(v, 0), (SIZE - CROP) // 8) for v in (x, y))
    crop = picture[y : y + CROP, x : x + CROP]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def _edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def reconstruction(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss (L1, L2 and the L1 of the edges) and the mean square error; both pictures in -1 to 1."""
    square = (y - x).square().mean()
    return (y - x).abs().mean() + 2 * square + 0.5 * edge_difference(y, x), square


def edge_difference(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The L1 of the steps between neighbours, across and down."""
    return sum((a - b).abs().mean() for a, b in zip(_edges(y), _edges(x), strict=True))


def psnr(square: float) -> float:
    """Peak signal to noise ratio in dB of a mean square error over pictures in -1 to 1."""
    return 10 * float(np.log10(4 / square))


def train(steps: int = 7000):
    """Trains both halves from nothing. Writes WORK/vae, and with it what the pack has of it so far."""
    model = build()
    run = Run("vae", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.5))

    def loss(rng):
        x = to_tensor(np.stack([_crop(rng) for _ in range(BATCH)]))
        with autocast():
            z = model.encoder(x).float()  # (B, 4, 8, 8)
            y = model.decoder(z + 0.08 * torch.randn_like(z)).float()
        value, square = reconstruction(y, x)
        # Keep each channel near mean 0, deviation 1: a diffusion pipeline knows one scale for all four.
        mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
        spread = mean.square().mean() + (deviation + 1e-4).log().square().mean()
        tails = F.relu(z.abs() - 2.7).mean()
        return value + 0.02 * spread + 0.05 * tails, {"psnr": psnr(square.item()), "spread": spread.item()}

    run.train(loss)
    run.use_average()
    _unit_latents(model)
    model.save_pretrained(WORK / "vae")
    model.cpu().half().save_pretrained(FOLDER)


def _pictures(rng: random.Random, count: int) -> torch.Tensor:
    return to_tensor(np.stack([np.asarray(draw(training_scene(rng, MIX), rng)) for _ in range(count)]))


@torch.no_grad()
def _unit_latents(model: AutoencoderTiny):
    """Folds each latent channel's mean and deviation into the convolutions on both sides of the latent."""
    rng = random.Random("latent statistics")
    z = torch.cat([model.encoder(_pictures(rng, 32)) for _ in range(12)])
    mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3))
    last, first = model.encoder.layers[-1], model.decoder.layers[0]
    last.weight /= deviation.view(4, 1, 1, 1)
    last.bias.copy_((last.bias - mean) / deviation)
    first.bias += (first.weight * mean.view(1, 4, 1, 1)).sum((1, 2, 3))
    first.weight *= deviation.view(1, 4, 1, 1)


SHARD, SHARDS = 16, 768  # pictures
EVERY = 16  # steps between two new shards
FIRST, LAST = 3, 8  # how many of the generator's steps a picture is drawn again for, by lot
SHAPES = ((16, 16),) * 5 + ((20, 13), (16, 16), (13, 20))  # latent cells: columns, rows; by shard, in turn
REDRAWN_MIX = {"large": 0.25, "single": 0.38, "several": 0.12, "pair": 0.24, "empty": 0.01}
FREQUENT = {"outline": 3, "watercolor": 2}  # how often a style is drawn, against the others
REDRAWN_BATCH = 12
REDRAWN = 8  # of a batch; the others are drawings' own latents
THING = 3.0  # loss weight of the cells that hold a thing, against the ground's


# Pictures
# ------------------------------------------------------------------------------------------------------------


def shown_scene(rng: random.Random) -> Scene:
    """A training scene; line art and watercolor, which come out worst, are drawn more often."""
    while True:
        scene = training_scene(rng, REDRAWN_MIX)
        if rng.random() < FREQUENT.get(scene.style, 1) / max(FREQUENT.values()):
            return scene


def _generator() -> StableDiffusionImg2ImgPipeline:
    folder = PACK / "stable-diffusion"
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device())


@torch.no_grad()
def _redrawn(index: int, pipeline: StableDiffusionImg2ImgPipeline) -> dict[str, np.ndarray]:
    """pictures (SHARD, H, W, 3) uint8, latents: their own, redrawn: those drawn again, (SHARD, 4, rows,
    columns) float16 each, things (SHARD, rows, columns) bool: the cells that hold one."""
    columns, rows = SHAPES[index % len(SHAPES)]
    size = (8 * columns, 8 * rows)
    drawn, things, words, seeds = [], [], [], []
    for position in range(SHARD):
        rng = random.Random(f"redrawn {index} {position}")
        scene = shown_scene(rng)
        words.append(describe(scene, rng, noise=0.2, drop=0).text)
        placed = layout(scene, rng, size)
        drawn.append(np.asarray(draw(scene, rng, size, placed)))
        things.append(patches(placed, rows, columns) >= 0)
        seeds.append(torch.Generator().manual_seed(rng.randrange(1 << 30)))
    steps = random.Random(f"redrawn {index}").randint(FIRST, LAST)
    with autocast():
        latents = pipeline.vae.encoder(to_tensor(np.stack(drawn))).float()
        redrawn = pipeline(
            words,
            image=latents,
            strength=steps / unet.DEFAULTS["num_inference_steps"] + 0.01,
            generator=seeds,
            output_type="latent",
            **unet.DEFAULTS,
        ).images
    return {
        "pictures": np.stack(drawn),
        "latents": latents.cpu().numpy().astype(np.float16),
        "redrawn": redrawn.float().cpu().numpy().astype(np.float16),
        "things": np.stack(things),
    }


# Training
# ------------------------------------------------------------------------------------------------------------


def sample(
    rng: random.Random, shards: list[dict[str, np.ndarray]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of `_redrawn` latents of REDRAWN_BATCH pictures of one shape, (B, 4, rows, columns), the first REDRAWN
    of them drawn again; the pictures, (B, 3, H, W) in -1 to 1; and loss weights, (B, 1, H, W)."""
    shape = rng.choice(shards)["things"].shape
    alike = [one for one in shards if one["things"].shape == shape]
    chosen = [(rng.choice(alike), rng.randrange(shape[0])) for _ in range(REDRAWN_BATCH)]
    kinds = ["redrawn"] * REDRAWN + ["latents"] * (REDRAWN_BATCH - REDRAWN)
    z = np.stack([one[kind][i] for (one, i), kind in zip(chosen, kinds, strict=True)])
    x = to_tensor(np.stack([one["pictures"][i] for one, i in chosen]))
    things = torch.from_numpy(np.stack([one["things"][i] for one, i in chosen])).to(device())
    weight = 1 + (THING - 1) * things[:, None].float()
    weight = F.interpolate(weight, scale_factor=8, mode="nearest")
    z = torch.from_numpy(z).float().to(device()).contiguous(memory_format=torch.channels_last)
    return z, x, weight / weight.mean()


class _Losses:
    """How far the decoder is from the drawings of a batch: the L1 alone of latents drawn again (where a thing
    moved a little, steps between neighbours would be punished for being there at all) and, so that drawings
    stay what they are, the autoencoder's own loss of drawings' latents with a little noise."""

    def __init__(self, run: Run, begun: int):
        """begun: steps that another run has learned from the same pictures before."""
        self.run, self.begun, self.generator = run, begun, _generator()
        self.shards: list[dict[str, np.ndarray]] = []

    def __call__(self, rng: random.Random):
        """Both losses; of the pictures drawn again, as they were drawn and as they are decoded (REDRAWN, 3,
        H, W) and their loss weights (REDRAWN, 1, H, W); and figures for the log."""
        for index in range(len(self.shards), grown(self.begun + self.run.step, EVERY, SHARDS)):
            path = WORK / "redrawn" / f"{index:04d}.npz"
            self.shards.append(shard(path, partial(_redrawn, index, self.generator)))
        z, x, weight = sample(rng, self.shards)
        z[REDRAWN:] += 0.05 * torch.randn_like(z[REDRAWN:])
        with autocast():
            y = self.run.model.decoder(z).float()
        own, square = reconstruction(y[REDRAWN:], x[REDRAWN:])
        drawn, decoded, weight = x[:REDRAWN], y[:REDRAWN], weight[:REDRAWN]
        again = ((decoded - drawn).abs() * weight).mean()
        figures = {"again": again.item(), "psnr": psnr(square.item())}
        return (again, own), (drawn, decoded, weight), figures


def _decoder(name: str, plan: Plan) -> Run:
    """The state of a run that trains the decoder; the encoder stays as it is, and with it all latents."""
    model = unet.autoencoder()
    model.decoder.requires_grad_(True)
    return Run(name, model, plan)


def train_decoder(steps: int = 15000):
    """Trains the decoder: three fifths of the steps by the L1 alone, the others with a critic. Writes the
    pack's autoencoder."""
    calm = 3 * steps // 5
    torch.manual_seed(0)
    run = _decoder("decoder", Plan(calm, lr=8e-4, weight_decay=0.0, decay=0.8))
    losses = _Losses(run, 0)

    def loss(rng):
        (again, own), _, figures = losses(rng)
        return 2 * again + own, figures

    run.train(loss)
    _sharpen(run.average, calm, steps - calm)


# Against a critic
# ------------------------------------------------------------------------------------------------------------
# The L1 draws what lies between all that a blunt point may have meant. A critic that tells drawings from
# what is decoded asks for one of them (Isola et al., 2017, arXiv:1611.07004).

REDRAWN_CROP = 8  # latent cells around a thing that the critic looks at
WIDTHS = (32, 64, 128, 192)
SHARE = 0.5  # of the gradient in the last convolution that the critic asks for, against the L1's
SHARPENED = 0.5  # share of the sharpened weights in those that are shipped
BEFORE = 200  # steps after each start in which the critic, which isn't kept, learns and isn't asked yet


def build_critic() -> nn.Sequential:
    """From pictures (B, 3, H, W) to how drawn each of their parts looks, (B, 1, h, w); a part is some 46 px
    wide."""
    layers: list[nn.Module] = []
    for width_in, width in zip((3, *WIDTHS), WIDTHS, strict=False):
        layers += [spectral_norm(nn.Conv2d(width_in, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
    layers.append(spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, padding=1)))
    return nn.Sequential(*layers).to(device(), memory_format=torch.channels_last)


def crops(rng: random.Random, weight: torch.Tensor) -> list[tuple[int, int]]:
    """For each picture the top left corner, px, of CROP x CROP cells around a cell that holds a thing, by its
    loss weights (B, 1, H, W)."""
    corners = []
    for one in weight[:, 0, ::8, ::8]:
        things = (one > one.min()).nonzero().tolist()
        y, x = rng.choice(things) if things else (rng.randrange(one.shape[0]), rng.randrange(one.shape[1]))
        corners.append(
            tuple(
                8 * min(max(0, at - REDRAWN_CROP // 2), side - REDRAWN_CROP)
                for at, side in zip((y, x), one.shape, strict=True)
            )
        )
    return corners


def cut(pictures: torch.Tensor, corners: list[tuple[int, int]]) -> torch.Tensor:
    """Those parts of (B, C, H, W): (B, C, 8 CROP, 8 CROP)."""
    side = 8 * REDRAWN_CROP
    return torch.stack(
        [p[:, y : y + side, x : x + side] for p, (y, x) in zip(pictures, corners, strict=True)]
    )


def _sharpen(calm: list[torch.Tensor], begun: int, steps: int):
    """Goes on from the weights `calm` with a critic. Writes the pack's autoencoder.

    These are weights half-way between both: those at the end draw a fine grid along edges (Wang et al., 2018,
    arXiv:1809.00219).
    """
    torch.manual_seed(0)
    run = _decoder("decoder_sharp", Plan(steps, lr=3e-4, weight_decay=0.0, decay=0.5, ema=0.995))
    if run.step == 0:
        run.start_from(calm)
    losses, critic = _Losses(run, begun), build_critic()
    optimizer = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.99))
    last, began = run.model.decoder.layers[-1].weight, run.step

    def loss(rng):
        (again, own), (drawn, decoded, weight), figures = losses(rng)
        corners = crops(rng, weight)
        drawn, decoded = cut(drawn, corners), cut(decoded, corners)
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            told, guessed = critic(torch.cat([drawn, decoded.detach()])).float().chunk(2)
        hinge = F.relu(1 - told).mean() + F.relu(1 + guessed).mean()
        hinge.backward()
        optimizer.step()
        value, figures = 2 * again + 2 * own, {**figures, "critic": hinge.item()}
        if run.step < began + BEFORE:
            return value, figures
        with autocast():
            asked = -critic(decoded).float().mean()
        norms = [torch.autograd.grad(part, last, retain_graph=True)[0].norm() for part in (again, asked)]
        return value + 2 * SHARE * (norms[0] / (norms[1] + 1e-6)).clamp(max=1.0) * asked, figures

    run.train(loss)
    run.use_average()
    with torch.no_grad():
        torch._foreach_lerp_(list(run.parameters), calm, 1 - SHARPENED)
    run.model.cpu().half().save_pretrained(FOLDER)


SCALE = 4
UPSCALER_SHARD, UPSCALER_SHARDS = 16, 64  # pictures
UPSCALER_EVERY = 40  # steps between two new shards
UPSCALER_CROP = 48  # px of the small picture
UPSCALER_BATCH = 8
PLACES = 4  # of a picture; the busiest is taken, since most of a picture is bare background
PLAIN = 0.2  # share of the crops that didn't go through the autoencoder
BLURS = (0, 0.3, 0.6, 0.9, 1.2, 1.7, 2.4)  # px of the small picture, the standard deviation
PASSES = 2  # of narrowing edges, in use: what the UNet draws is softer than what this learns from
REACH = 15  # px, a side of what a blurred pixel is the mean of
UPSCALER_MIX = {"large": 0.25, "single": 0.37, "several": 0.12, "pair": 0.24, "empty": 0.02}


@torch.no_grad()
def _decoded(pictures: np.ndarray, vae: AutoencoderTiny) -> np.ndarray:
    """(N, H, W, 3) uint8 through the autoencoder."""
    x = _tensor(list(pictures)) * 2 - 1
    return to_pictures(vae.decode(vae.encode(x).latents).sample)


def _upscaler_shard(index: int, vae: AutoencoderTiny) -> dict[str, np.ndarray]:
    """large (SHARD, 512, 512, 3), small and decoded (SHARD, 128, 128, 3), all uint8."""
    large, small = [], []
    for position in range(UPSCALER_SHARD):
        rng = random.Random(f"upscaler {index} {position}")
        picture = draw(training_scene(rng, UPSCALER_MIX), rng, (SIZE * SCALE, SIZE * SCALE))
        large.append(np.asarray(picture))
        small.append(np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX)))
    return {"large": np.stack(large), "small": np.stack(small), "decoded": _decoded(np.stack(small), vae)}


class UpscalerPictures:
    """The pictures of all shards so far."""

    def __init__(self):
        self.vae = unet.autoencoder(FOLDER)
        self.shards: list[dict[str, np.ndarray]] = []

    def grow(self, shards: int):
        """Takes in as many shards, drawing those that are not on disk."""
        for index in range(len(self.shards), shards):
            path = WORK / "upscaler" / f"{index:04d}.npz"
            self.shards.append(shard(path, partial(_upscaler_shard, index, self.vae)))

    def crop(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        """A part of a small picture, (CROP, CROP, 3), and as it is drawn, (4 CROP, 4 CROP, 3)."""
        drawn, index = rng.choice(self.shards), rng.randrange(UPSCALER_SHARD)
        places = [tuple(rng.randint(0, SIZE - UPSCALER_CROP) for _ in range(2)) for _ in range(PLACES)]
        boxes = [np.s_[index, y : y + UPSCALER_CROP, x : x + UPSCALER_CROP] for y, x in places]
        best = max(range(PLACES), key=lambda i: float(drawn["small"][boxes[i]].std(axis=(0, 1)).sum()))
        small = drawn["small" if rng.random() < PLAIN else "decoded"][boxes[best]]
        y, x = (SCALE * start for start in places[best])
        large = drawn["large"][index, y : y + SCALE * UPSCALER_CROP, x : x + SCALE * UPSCALER_CROP]
        return (small[:, ::-1], large[:, ::-1]) if rng.random() < 0.5 else (small, large)


def _tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in 0 to 1."""
    x = torch.from_numpy(np.stack(pictures)).to(device()).permute(0, 3, 1, 2)
    return x.float().div(255).contiguous(memory_format=torch.channels_last)


def _softer(pictures: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Each of (B, 3, H, W) blurred by a width of its own."""
    widths = [rng.choice(BLURS) for _ in pictures]
    return torch.stack(
        [gaussian_blur(p, [9, 9], w) if w else p for p, w in zip(pictures, widths, strict=True)]
    )


def _apart(made: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
    return 2 * (made - large).abs().mean() + edge_difference(made, large)


def train_upscaler(steps: int = 2700):
    torch.manual_seed(0)
    model = Upscaler(passes=PASSES).to(device(), memory_format=torch.channels_last)
    run = Run("upscaler", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.5, ema=0.99))
    pictures = UpscalerPictures()

    def loss(rng):
        pictures.grow(grown(run.step, UPSCALER_EVERY, UPSCALER_SHARDS))
        small, large = zip(*(pictures.crop(rng) for _ in range(UPSCALER_BATCH)), strict=True)
        moved, rest = model.parts(_softer(_tensor(small), rng))
        y = _tensor(large)
        whole, alone = _apart(moved + rest, y), _apart(moved, y)  # places have to do what they can alone
        return whole + alone / 2, {"whole": 255 * whole.item(), "moved": 255 * alone.item()}

    run.train(loss, log_every=50, save_every=100)
    run.use_average()
    model.cpu().half().save_pretrained(PACK / "stable-diffusion" / "upscaler")
