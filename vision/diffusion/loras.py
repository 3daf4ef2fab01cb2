"""LoRAs of one image model: kept beside its weights and applied row by row, so that jobs share passes.

peft inserts the layers, and diffusers reads the files' dialects; which row gets which LoRAs is decided here:
peft takes one adapter a row and one weight for all (``adapter_names``), while a prompt may name several, each
with its weight. A file may say how its LoRA counts in drawings that a prompt guides (``GuidedUse``). The LoRA
that a model's card names (``merged_lora``) is added to the weights once, when they are loaded."""

import json
import logging
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from cachetools import LRUCache
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from core.errors import ModelError, UserError
from core.prompt.values import shown_lora, stored_lora
from vision.reporter import Reporter
from vision.weights import files

ABOUT = "atelier.style"  # in the metadata of a file, JSON: what a style that was trained here says of itself
ENTRY = "guided"  # in that: numbers of GuidedUse


@dataclass(frozen=True)
class GuidedUse:
    """Guidance (arXiv:2207.12598) draws by u + g (c - u), from what is predicted without words (u) and with
    the prompt (c). With the LoRA in both it changes the composition as well; in c alone, as concept sliders
    have it (arXiv:2311.12092), its change is g times as large, so it is applied with a gth of ``strength``.

    strength: times the LoRA's own. whole: share of noise, 0..1, from which on it is; above, it falls to 0 at
    pure noise, where the composition is decided.
    """

    strength: float
    whole: float

    def __post_init__(self) -> None:
        if not (0 < self.strength <= 10 and 0 <= self.whole < 1):
            raise ModelError(
                f"The LoRA's strength is {self.strength:g} and its full strength begins at {self.whole:g} of"
                " noise; they take above 0 to 10, and 0 to below 1."
            )

    def weight(self, noise: float, guidance_scale: float) -> float:
        """Return what the LoRA is multiplied by. noise: share of it in the picture, 0..1."""
        return self.strength / guidance_scale * min(1.0, max(0.0, 1 - noise) / (1 - self.whole))

    def told(self) -> dict[str, float]:
        """Return it as a file has it."""
        return asdict(self)


def read_loras(metadata: Mapping[str, str], name: str) -> GuidedUse | None:
    """Return what a LoRA's metadata say, None if nothing. Raises ModelError for what can't be."""
    try:
        told: Any = json.loads(metadata.get(ABOUT, "{}")).get(ENTRY)
        return None if told is None else GuidedUse(float(told["strength"]), float(told["whole"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The LoRA {name} has no valid strength.") from error


log = logging.getLogger(__name__)

NOISE_LEVELS = 1000  # of Stable Diffusion's schedules: a timestep of as many is pure noise
MAX_LOADED = 16  # kept beside one model
WeightedLoras = tuple[tuple[str, float], ...]  # (name, weight)
MAX_PLANS = 16  # kept: which rows of a pass have which LoRAs, for each company of jobs
# adapter, rows (None = all), weights: a number, or one for each of the rows
Plan = list[tuple[str, Tensor | None, Any]]


class Loras:
    """The LoRAs of one model, for one thread. pipe: whose denoiser and text encoders get them. find: a name
    that the host has set up → file; it raises UserError for any other. other_rows: as in ``Family``."""

    def __init__(
        self, pipe: Any, name: str, find: Callable[[str, Reporter], Path], other_rows: Sequence[str] = ()
    ) -> None:
        self._pipe, self._name, self._find, self._other_rows = pipe, name, find, other_rows
        self._unmixable = set[str]()  # names of those that change layers with other rows
        self.adapters: OrderedDict[str, str] = OrderedDict()  # name → adapter; the longest unused first
        self._files: dict[str, str] = {}  # name → which file it was
        self._guided: dict[str, GuidedUse | None] = {}
        self._count, self._users, self._hooked = 0, Counter[str](), set[int]()
        self._plan: Plan = []  # read by the hooks, which torch calls with nothing of ours; see ``applied``
        # with the same company their numbers stay on the device from step to step
        self._plans = LRUCache[Any, Plan](MAX_PLANS)

    def ensure_loaded(self, wanted: WeightedLoras, reporter: Reporter) -> None:
        """Load the LoRAs that aren't there yet; their files are read beside the steps of other jobs. Raises
        UserError when one doesn't fit the model."""
        for name, _ in wanted:
            if name not in self.adapters:
                read = partial(self.read_file, name, reporter)
                tensors, file, use = reporter.in_thread(read, thread="fetching")
                reporter.build(partial(self._add, name, tensors, file), inline=True)
                self._guided[name] = use
            self.adapters.move_to_end(name)

    def __deepcopy__(self, memo: Any) -> "Loras":
        """Return this: copies of layers over the same tensors (``--tile``) have its hooks and LoRAs."""
        return self

    @property
    def version(self) -> int:
        """A number that changes whenever layers were added."""
        return self._count

    def identity(self, wanted: WeightedLoras) -> list[str]:
        """Return which files ``wanted`` were loaded from, with their sizes and times."""
        return [self._files[name] for name, _ in wanted]

    @contextmanager
    def in_use(self, wanted: WeightedLoras) -> Iterator[None]:
        """Keep ``wanted`` from being unloaded for others inside the ``with`` block."""
        names = [name for name, _ in wanted]
        self._users.update(names)
        try:
            yield
        finally:
            self._users.subtract(names)

    @contextmanager
    def in_training(
        self, name: str, part: str, config: LoraConfig, use: GuidedUse | None = None
    ) -> Iterator[dict[str, torch.nn.Parameter]]:
        """Insert a new LoRA into ``part`` of the pipeline, in float32, which can be applied, and drawn with,
        as ``name`` inside the ``with`` block. Yields what is trained, by the names that its file has. use: in
        drawings with guidance. What jobs draw doesn't change by it. Nothing else of the model is trained."""
        module = self._pipe.components[part]
        module.requires_grad_(False)
        self._make_room()
        self._count += 1
        adapter = f"lora{self._count}"
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Already found a `peft_config`")
                inject_adapter_in_model(config, module, adapter)
            self._deactivate()
            weights: dict[str, torch.nn.Parameter] = {}
            for path, layer in module.named_modules():
                if isinstance(layer, LoraLayer) and adapter in layer.lora_A:
                    for half in ("lora_A", "lora_B"):
                        matrix = getattr(layer, half)[adapter].float().requires_grad_(True)
                        weights[f"{path}.{half}.weight"] = matrix.weight
            self.adapters[name], self._files[name], self._guided[name] = adapter, name, use
            with self.in_use(((name, 1.0),)):
                yield weights
        finally:
            self.adapters.pop(name, None)
            self._drop(adapter)

    def apart(self, wanted: WeightedLoras) -> WeightedLoras | None:
        """Return ``wanted`` where passes can be shared only with jobs that want the same; else None."""
        return wanted if any(name in self._unmixable for name, _ in wanted) else None

    @contextmanager
    def added(self, name: str, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Have a LoRA that is in no file, to draw with as ``name`` inside the ``with`` block. tensors: by the
        names that a file would have. Raises UserError for one that doesn't fit."""
        self._add(name, dict(tensors), name)
        try:
            with self.in_use(((name, 1.0),)):
                yield
        finally:
            self._drop(self.adapters.pop(name))

    def is_guided(self, wanted: WeightedLoras) -> bool:
        """Return whether the rows of a drawing with guidance get different weights of ``wanted``."""
        return any(self._guided.get(name) for name, _ in wanted)

    def rows(
        self, wanted: WeightedLoras, pictures: int, guidance_scale: float, count: int, timestep: Any
    ) -> list[WeightedLoras]:
        """Return what ``applied`` takes for a call with ``count`` rows of a job with so many ``pictures``:
        with guidance twice as many, the first half without the prompt. timestep: 0 to 1000."""
        if count != 2 * pictures or not self.is_guided(wanted):
            return [wanted] * count
        noise = float(torch.as_tensor(timestep).reshape(-1)[0]) / NOISE_LEVELS
        uses = [(name, weight, self._guided.get(name)) for name, weight in wanted]
        without = tuple((name, weight) for name, weight, use in uses if use is None)
        each = (
            (name, weight * (use.weight(noise, guidance_scale) if use else 1)) for name, weight, use in uses
        )
        told = tuple(one for one in each if one[1])
        return [without] * pictures + [told] * pictures

    @contextmanager
    def applied(self, rows: Sequence[WeightedLoras]) -> Iterator[None]:
        """Apply ``rows[i]`` to row *i* of whatever the model evaluates inside the ``with`` block. If all rows
        are equal, there may be any number of them."""
        key = self._count, tuple(rows)
        if key not in self._plans:
            self._plans[key] = self._planned(rows)
        before, self._plan = self._plan, self._plans[key]
        try:
            yield
        finally:
            self._plan = before

    def _planned(self, rows: Sequence[WeightedLoras]) -> Plan:
        if all(row == rows[0] for row in rows):
            return [(self.adapters[name], None, weight) for name, weight in rows[0]]
        plan: Plan = []
        for name in dict.fromkeys(name for row in rows for name, _ in row):
            having = [i for i, row in enumerate(rows) if name in dict(row)]
            weights = torch.tensor([dict(rows[i])[name] for i in having])
            plan.append((self.adapters[name], torch.tensor(having), weights))
        return plan

    def forget(self, sha256s: Collection[str]) -> None:
        """Unload the LoRAs that members have made from these files; one in use goes when room is made."""
        for name in list(self.adapters):
            stored = stored_lora(name)
            if stored is not None and stored.sha256 in sha256s and not self._users[name]:
                self._drop(self.adapters.pop(name))

    # Loading

    def read_file(self, name: str, reporter: Reporter) -> tuple[dict[str, Tensor], str, GuidedUse | None]:
        """Return a LoRA's tensors, which file it was, and how it counts in drawings with guidance."""
        path = self._find(name, reporter)
        use = read_loras(files.header(path).get("__metadata__", {}), shown_lora(name))
        try:
            return load_file(path), f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}", use
        except (OSError, SafetensorError) as error:
            raise ModelError(f"The LoRA {shown_lora(name)} can't be read.") from error

    def _add(self, name: str, tensors: dict[str, Tensor], file: str) -> None:
        if name in self.adapters:  # another job was as quick
            return
        if not hasattr(self._pipe, "load_lora_weights"):
            raise UserError(f"{self._name} takes no LoRAs.")
        self._make_room()
        self._count += 1
        adapter = f"lora{self._count}"  # peft allows no dots in it
        try:
            with self._peft_itself(), warnings.catch_warnings():
                # several adapters are what is wanted
                warnings.filterwarnings("ignore", "Already found a `peft_config`")
                self._pipe.load_lora_weights(tensors, adapter_name=adapter)
            layers = list(self._layers())
            if any(adapter in layer.lora_variant for layer in layers):
                raise ValueError("it is of a kind (DoRA, say) that can't be mixed")
            if not any(adapter in layer.lora_A for layer in layers):
                raise ValueError("it has no weights for this model")
        except (ValueError, KeyError, RuntimeError, TypeError, AttributeError, IndexError) as error:
            self._drop(adapter)
            log.warning("the LoRA %s doesn't fit %s: %s", name, self._name, str(error).splitlines()[:1])
            raise UserError(f"The LoRA `{shown_lora(name)}` doesn't fit {self._name}.") from error
        finally:
            self._deactivate()
        self.adapters[name], self._files[name] = adapter, file
        changed = [path for part in self._parts() for path, _ in part.named_modules() if adapter in path]
        if any(other in path for path in changed for other in self._other_rows):
            self._unmixable.add(name)
        log.info("LoRA %s loaded for %s", name, self._name)

    @contextmanager
    def _peft_itself(self) -> Iterator[None]:
        """Let peft insert the layers of text encoders, too, inside the ``with`` block: transformers' own way
        requires peft 0.22, which isn't published yet."""
        encoders = [
            part
            for part in self._parts()
            if hasattr(part, "load_adapter") and isinstance(part, PreTrainedModel)
        ]
        for encoder in encoders:
            vars(encoder)["load_adapter"] = partial(_put_into, encoder)
        try:
            yield
        finally:
            for encoder in encoders:
                vars(encoder).pop("load_adapter", None)

    def _make_room(self) -> None:
        for name in list(self.adapters):
            if len(self.adapters) < MAX_LOADED:
                return
            if not self._users[name]:
                self._drop(self.adapters.pop(name))
                log.info("LoRA %s is unloaded to make room", name)

    def _drop(self, adapter: str) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Adapter .* was active")  # none acts on its own here
            for layer in self._layers():
                if adapter in layer.lora_A:
                    layer.delete_adapter(adapter)
        for part in self._parts():
            getattr(part, "peft_config", {}).pop(adapter, None)

    def _parts(self) -> list[torch.nn.Module]:
        parts = self._pipe.components.items()
        return [part for name, part in parts if isinstance(part, torch.nn.Module) and name != "vae"]

    def _layers(self) -> Iterator[LoraLayer]:
        modules = chain.from_iterable(part.modules() for part in self._parts())
        return (module for module in modules if isinstance(module, LoraLayer))

    def _deactivate(self) -> None:
        """Switch adapters off as far as peft knows, so that a layer computes what it did before, bit for bit;
        what ``_plan`` adds, our hook adds."""
        for layer in self._layers():
            layer.enable_adapters(False)
            if id(layer) not in self._hooked:
                layer.register_forward_hook(self._add_to)
                self._hooked.add(id(layer))

    def _add_to(self, layer: LoraLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """Return ``output`` (B, …) of the plain layer, plus scale · B(A(x)) for the rows that have a LoRA (Hu
        et al., arXiv:2106.09685, eq. 3)."""
        for i, (adapter, rows, weights) in enumerate(self._plan):
            if adapter not in layer.lora_A:
                continue
            down, up, x = layer.lora_A[adapter], layer.lora_B[adapter], args[0]
            if rows is not None:
                if rows.device != x.device:
                    rows, weights = rows.to(x.device), weights.to(x.device)
                    self._plan[i] = adapter, rows, weights
                x = x[rows]
            change = up(down(x.to(down.weight.dtype))) * layer.scaling[adapter]
            if rows is None:
                output = output + (change * weights).to(output.dtype)
            else:
                change = change * weights.to(change).view(-1, *[1] * (change.ndim - 1))
                output = output.index_add(0, rows, change.to(output.dtype))
        return output


def _put_into(
    module: torch.nn.Module,
    adapter_name: str,
    adapter_state_dict: dict[str, Tensor],
    peft_config: LoraConfig,
    **_: Any,
) -> None:
    inject_adapter_in_model(peft_config, module, adapter_name)
    set_peft_model_state_dict(module, adapter_state_dict, adapter_name)


FOLDER = files.MERGED  # beside the parts of a pipeline: fetched with them from a hub
# How diffusers' save_lora_weights ends the names of a denoiser's matrices, and where it keeps rank and alpha.
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
METADATA = "lora_adapter_metadata"


def merge(pipe: Any, folder: Path, name: str) -> None:
    """Add alpha / rank · up · down (Hu et al., arXiv:2106.09685, eq. 3) to each weight of ``pipe`` that the
    LoRA ``name`` of the model in ``folder`` changes. Its file is one that diffusers' save_lora_weights wrote
    for a denoiser. Its dtype may be any: float8 takes half of float16's bytes. Raises ModelError when the
    file can't be read or doesn't fit, and when the weights are quantised."""
    file = folder / FOLDER / name
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}
            about = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        if any(value for name, value in about.items() if name.endswith("alpha_pattern")):
            raise ValueError("an alpha for some layers alone")
        parts = [name.removesuffix(".lora_alpha") for name in about if name.endswith(".lora_alpha")]
        scales = {part: about[f"{part}.lora_alpha"] / about[f"{part}.r"] for part in parts}
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"The LoRA {file.name}, which atelier.json names, can't be read.") from error
    layers = {name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)}
    if not layers or set(tensors) != {layer + end for layer in layers for end in (DOWN, UP)}:
        raise ModelError(
            f"{file.name} isn't a LoRA of a denoiser as diffusers' save_lora_weights writes them; no other"
            " can be merged."
        )
    for layer in sorted(layers):
        part, _, module = layer.partition(".")
        weight = _weight(pipe, part, module, file)
        down, up = (tensors[layer + end].to(weight.device).float().flatten(1) for end in (DOWN, UP))
        if (up.shape[0], down.shape[1], up.shape[1]) != (*weight.flatten(1).shape, down.shape[0]):
            raise ModelError(f"The LoRA {file.name} doesn't fit {layer}: it is of another model.")
        weight += (scales.get(part, 1.0) * (up @ down)).view(weight.shape).to(weight.dtype)


def _weight(pipe: Any, part: str, name: str, file: Path) -> Tensor:
    try:
        weight: Tensor = pipe.components[part].get_submodule(name).weight.detach()
    except (KeyError, AttributeError) as error:
        raise ModelError(f"The LoRA {file.name} doesn't fit: this model has no {part}.{name}.") from error
    if type(weight) is not Tensor or not weight.is_floating_point():
        raise ModelError(
            f"The LoRA {file.name} can't be added to quantised weights; set QUANTIZE=off, or leave"
            " merged_lora out of atelier.json."
        )
    return weight
