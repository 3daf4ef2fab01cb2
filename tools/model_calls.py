"""Compares how the program calls each pipeline of images with the pipeline's own example, argument by
argument, and its defaults for each model with the model's card; docs/reference/image-models.md shows both.

The examples are those in the docstrings of the installed diffusers, so that a new one that draws otherwise is
noticed. Nothing is loaded: pipelines are made without their parts.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from PIL import Image

from vision.diffusion.model import arguments
from vision.diffusion.parameters import Generation
from vision.diffusion.pipeline import call_arguments
from vision.families import EDITORS, FAMILIES, Family, Mode
from vision.weights.card import make_card

READ = "30 November 2026"  # when public copies of the model cards were read
Configs = Mapping[str, Mapping[str, Any]]  # folder or stem of a configuration file → what of it counts
OWN = frozenset(  # each job's own: never the same as in an example
    (
        *"prompt image mask_image generator latents output_type num_images_per_prompt".split(),
        *"height width strength".split(),
    )
)
# class → what its example's model says in its configuration; of a family's others, what the first one's does
EXAMPLES: dict[str, Configs] = {
    "FluxPipeline": {"transformer": {"guidance_embeds": False}},  # schnell
    "Flux2KleinPipeline": {"model_index": {"is_distilled": False}},  # base 9B
    "QwenImageEditPlusPipeline": {"model_index": {"_class_name": "QwenImageEditPlusPipeline"}},
    "ErnieImagePipeline": {"scheduler": {"shift": 3.0}},  # none: of whom the signature speaks
}
A_SPACE = "real guidance leads away from a space, as the model card has it"
REASONS = {  # (class, argument) → why it isn't as in the example
    ("StableDiffusionPipeline", "num_inference_steps"): "with today's samplers more change little",
    ("StableDiffusionXLPipeline", "num_inference_steps"): "with today's samplers more change little",
    ("ZImagePipeline", "num_inference_steps"): "the model card's 9, which it counts as 8 evaluations",
    ("QwenImagePipeline", "negative_prompt"): A_SPACE,
    ("QwenImageEditPipeline", "negative_prompt"): A_SPACE,
    ("QwenImageEditPlusPipeline", "negative_prompt"): A_SPACE,
    ("QwenImageEditPlusPipeline", "num_inference_steps"): "the model cards of 2509 and 2511",
    ("QwenImage21Pipeline", "use_kv_cache"): "it is one job's own, and jobs share steps",
    ("ErnieImagePipeline", "use_pe"): "a member's words are drawn as they stand",
    ("LongCatImagePipeline", "enable_prompt_rewrite"): "a member's words are drawn as they stand",
    ("StableDiffusionInstructPix2PixPipeline", "num_inference_steps"): "its model card: 10 to 20",
    ("FluxKontextPipeline", "_auto_resize"): "the picture comes at the size that is drawn",
}


@dataclass(frozen=True)
class ModelCard:
    """What the card of a model on the hub says. configs: what of its files tells it from its kin."""

    family: str
    model: str
    configs: Configs
    num_inference_steps: int
    guidance_scale: float


DISTILLED, UNDISTILLED = ({"model_index": {"is_distilled": value}} for value in (True, False))
TRAILING = {"timestep_spacing": "trailing", "prediction_type": "epsilon"}
CARDS = (
    ModelCard("stable-diffusion", "stabilityai/sd-turbo", {"scheduler": TRAILING}, 4, 0.0),
    ModelCard("stable-diffusion-xl", "stabilityai/sdxl-turbo", {"scheduler": TRAILING}, 4, 0.0),
    ModelCard("stable-diffusion-xl", "ByteDance/SDXL-Lightning", {"scheduler": TRAILING}, 4, 0.0),
    ModelCard("stable-diffusion-3", "stabilityai/stable-diffusion-3-medium-diffusers", {}, 28, 7.0),
    ModelCard(
        "stable-diffusion-3",
        "stabilityai/stable-diffusion-3.5-medium",
        {"transformer": {"qk_norm": "rms_norm", "num_layers": 24}},
        40,
        4.5,
    ),
    ModelCard(
        "stable-diffusion-3",
        "stabilityai/stable-diffusion-3.5-large",
        {"transformer": {"qk_norm": "rms_norm", "num_layers": 38}},
        28,
        3.5,
    ),
    ModelCard("flux", "black-forest-labs/FLUX.1-dev", {"transformer": {"guidance_embeds": True}}, 28, 3.5),
    ModelCard(
        "flux", "black-forest-labs/FLUX.1-schnell", {"transformer": {"guidance_embeds": False}}, 4, 0.0
    ),
    ModelCard("flux2-klein", "black-forest-labs/FLUX.2-klein-4B", DISTILLED, 4, 1.0),
    ModelCard("flux2-klein", "black-forest-labs/FLUX.2-klein-base-4B", UNDISTILLED, 50, 4.0),
    ModelCard("z-image", "Tongyi-MAI/Z-Image-Turbo", {"scheduler": {"shift": 3.0}}, 9, 0.0),
    ModelCard("z-image", "Tongyi-MAI/Z-Image", {"scheduler": {"shift": 6.0}}, 50, 4.0),
    ModelCard("qwen-image", "Qwen/Qwen-Image-2512", {}, 50, 4.0),
    ModelCard("qwen-image-2.1", "Qwen/Qwen-Image-2.1", {}, 40, 1.0),
    ModelCard(
        "qwen-image-2.1", "Qwen-Image-2.1 Turbo", {"model_index": {"sample_sigmas": [0.9] * 8}}, 8, 1.0
    ),
    ModelCard("ernie-image", "baidu/ERNIE-Image-Turbo", {"scheduler": {"shift": 1.0}}, 8, 1.0),
    ModelCard("ernie-image", "baidu/ERNIE-Image", {"scheduler": {"shift": 3.0}}, 50, 4.0),
    ModelCard("krea-2", "krea/Krea-2-Turbo", DISTILLED, 8, 0.0),
    ModelCard("krea-2", "Krea 2, undistilled", UNDISTILLED, 28, 4.5),
    ModelCard("longcat-image", "meituan-longcat/LongCat-Image", {}, 50, 4.5),
    ModelCard(
        "qwen-image-edit",
        "Qwen/Qwen-Image-Edit-2511",
        {"model_index": {"_class_name": "QwenImageEditPlusPipeline"}},
        40,
        4.0,
    ),
)


@dataclass(frozen=True)
class Difference:
    """An argument that isn't as in the example. example, ours: as they would be written; "–" = not passed,
    and in brackets what holds then."""

    pipeline: str
    argument: str
    example: str
    ours: str

    @property
    def reason(self) -> str:
        """Why it differs; "" = nobody has said."""
        return REASONS.get((self.pipeline, self.argument), "")


def pipelines() -> Iterator[tuple[Family, Mode, str]]:
    """Yield every class that a family draws by, once."""
    seen = set[str]()
    for mode in (Mode.TEXT, Mode.EDIT, Mode.IMAGE, Mode.INPAINT):
        for family in (*FAMILIES[:-1], *EDITORS):
            names = [family.pipeline(mode), *(family.also if mode is Mode.EDIT else ())]
            for name in names:
                if name and name not in seen:
                    seen.add(name)
                    yield family, mode, name


def example_call(name: str) -> dict[str, Any] | None:
    """Return the arguments of the call in the class's example; None if it has none. What isn't a constant is
    kept as its source."""
    cls = getattr(diffusers, name)
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", cls.__call__.__doc__ or "", re.DOTALL)
    blocks += [_without_fence(cls.__call__.__doc__ or "")]
    for block in blocks:
        code = re.sub(r"^ *(>>>|\.\.\.) ?", "", block, flags=re.MULTILINE)
        try:
            tree = ast.parse(textwrap.dedent(code))
        except SyntaxError:
            continue
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_pipe(node.func)]
        if calls:
            return _arguments_of(calls[-1], list(inspect.signature(cls.__call__).parameters)[1:])
    return None


def _without_fence(text: str) -> str:
    """The lines of an example that is written as a session alone."""
    return "\n".join(line for line in text.splitlines() if re.match(r" *(>>>|\.\.\.)", line))


def _is_pipe(called: ast.expr) -> bool:
    return isinstance(called, ast.Name) and called.id in ("pipe", "pipeline")


def _arguments_of(call: ast.Call, names: list[str]) -> dict[str, Any]:
    given = dict(zip(names, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
    found = {}
    for name, value in given.items():
        try:
            found[str(name)] = ast.literal_eval(value)
        except ValueError:
            found[str(name)] = ast.unparse(value)
    return found


def our_call(family: Family, mode: Mode, name: str) -> dict[str, Any]:
    """Return what the program passes for a prompt alone, with a picture where the mode wants one."""
    card = make_card(family, EXAMPLES.get(name) or EXAMPLES.get(family.text or "", {}), {})
    picture = None if mode is Mode.TEXT else Image.new("RGB", (card.native_size, card.native_size))
    generation = Generation(
        mode,
        "a house",
        (0,),
        card.native_size,
        card.native_size,
        card.num_inference_steps,
        card.guidance_scale,
        image=picture,
        mask_image=Image.new("L", picture.size) if picture and mode is Mode.INPAINT else None,
        strength=card.strength if mode in (Mode.IMAGE, Mode.INPAINT) else None,
    )
    pipe = object.__new__(getattr(diffusers, name))
    return arguments(pipe, call_arguments(family, card, generation, [torch.Generator()]))


def differences() -> Iterator[Difference]:
    """Yield each argument that isn't as in its class's example; of a class without one, as its signature
    has it. What begins at a picture is called as from words alone, but for what is named in its example."""
    for family, mode, name in pipelines():
        example, ours = example_call(name) or {}, our_call(family, mode, name)
        words = our_call(family, Mode.TEXT, family.text) if family.text and mode is not Mode.EDIT else {}
        parameters = inspect.signature(getattr(diffusers, name).__call__).parameters
        for argument in sorted((example.keys() | ours.keys()) - OWN):
            default = parameters[argument].default
            theirs, own = example.get(argument, default), ours.get(argument, default)
            as_from_words = mode in (Mode.IMAGE, Mode.INPAINT) and words.get(argument) == own
            if theirs != own and not as_from_words:
                yield Difference(
                    name, argument, _written(argument, example, default), _written(argument, ours, default)
                )


def _written(argument: str, call: Mapping[str, Any], default: Any) -> str:
    return f"`{call[argument]!r}`" if argument in call else f"– (`{default!r}`)"


def family_of(name: str) -> Family:
    """Return the family called ``name``."""
    return next(family for family in (*FAMILIES, *EDITORS) if family.name == name)
