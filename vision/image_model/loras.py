"""LoRAs of one image model: kept beside its weights and applied row by row, so that jobs with different ones,
or none, share a pass.

peft inserts the layers, and diffusers reads the files' dialects; which row gets which LoRAs is decided here:
peft takes one adapter a row and one weight for all (``adapter_names``), while a prompt may name several, each
with its weight.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from core.errors import ModelError, UserError
from core.grammar.stored_loras import shown_lora, stored_lora
from vision.image_model.attached import guided_lora
from vision.image_model.attached.guided_lora import GuidedUse
from vision.reporter import Reporter
from vision.weights import contents

log = logging.getLogger(__name__)

NOISE_LEVELS = 1000  # of Stable Diffusion's schedules: a timestep of as many is pure noise
MAX_LOADED = 16  # kept beside one model
WeightedLoras = tuple[tuple[str, float], ...]  # (name, weight)
Plan = list[
    tuple[str, torch.Tensor | None, Any]
]  # adapter, rows (None = all), weights: a number, or one for each of the rows


class Loras:
    """The LoRAs of one model, for one thread.

    pipe: whose denoiser and text encoders get them. find: a name that the host has set up → file; it raises
    UserError for any other.
    """

    def __init__(self, pipe: Any, name: str, find: Callable[[str, Reporter], Path]) -> None:
        self._pipe, self._name, self._find = pipe, name, find
        self._adapters: OrderedDict[str, str] = OrderedDict()  # name → adapter; the longest unused first
        self._files: dict[str, str] = {}  # name → which file it was
        self._guided: dict[str, GuidedUse | None] = {}
        self._count, self._users, self._hooked = 0, Counter[str](), set[int]()
        self._plan: Plan = []  # read by the hooks, which torch calls with nothing of ours; see ``applied``

    def ensure_loaded(self, wanted: WeightedLoras, reporter: Reporter) -> None:
        """Load the LoRAs that aren't there yet; their files are read beside the steps of other jobs. Raises
        UserError when one doesn't fit the model."""
        for name, _ in wanted:
            if name not in self._adapters:
                tensors, file, use = reporter.in_thread(
                    partial(self._read, name, reporter), thread="fetching"
                )
                reporter.build(partial(self._add, name, tensors, file), inline=True)
                self._guided[name] = use
            self._adapters.move_to_end(name)

    def __deepcopy__(self, memo: Any) -> Loras:
        """Return this object: copies of the model's layers over the same tensors (``--tile``) have hooks of
        this one, and get the same LoRAs."""
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
        drawings with guidance.

        What jobs draw doesn't change by it. Nothing else of the model is trained.
        """
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
            self._adapters[name], self._files[name], self._guided[name] = adapter, name, use
            with self.in_use(((name, 1.0),)):
                yield weights
        finally:
            self._adapters.pop(name, None)
            self._drop(adapter)

    def is_guided(self, wanted: WeightedLoras) -> bool:
        """Return whether the rows of a drawing with guidance get different weights of ``wanted``."""
        return any(self._guided.get(name) for name, _ in wanted)

    def rows(
        self, wanted: WeightedLoras, pictures: int, guidance_scale: float, count: int, timestep: Any
    ) -> list[WeightedLoras]:
        """Return what ``applied`` takes for a call with ``count`` rows of a job with so many ``pictures``:
        with guidance twice as many, of which the first half is without the prompt. timestep: of the call, 0
        to 1000.
        """
        if count != 2 * pictures or not self.is_guided(wanted):
            return [wanted] * count
        noise = float(torch.as_tensor(timestep).reshape(-1)[0]) / NOISE_LEVELS
        uses = [(name, weight, self._guided.get(name)) for name, weight in wanted]
        without = tuple((name, weight) for name, weight, use in uses if use is None)
        told = tuple(
            (name, weight if use is None else weight * use.weight(noise, guidance_scale))
            for name, weight, use in uses
        )
        told = tuple(one for one in told if one[1])
        return [without] * pictures + [told] * pictures

    @contextmanager
    def applied(self, rows: Sequence[WeightedLoras]) -> Iterator[None]:
        """Apply ``rows[i]`` to row *i* of whatever the model evaluates inside the ``with`` block. If all rows
        are equal, there may be any number of them."""
        before, self._plan = self._plan, self._planned(rows)
        try:
            yield
        finally:
            self._plan = before

    def _planned(self, rows: Sequence[WeightedLoras]) -> Plan:
        if all(row == rows[0] for row in rows):
            return [(self._adapters[name], None, weight) for name, weight in rows[0]]
        plan: Plan = []
        for name in dict.fromkeys(name for row in rows for name, _ in row):
            having = [i for i, row in enumerate(rows) if name in dict(row)]
            plan.append(
                (
                    self._adapters[name],
                    torch.tensor(having),
                    torch.tensor([dict(rows[i])[name] for i in having]),
                )
            )
        return plan

    def forget(self, sha256s: Collection[str]) -> None:
        """Unload the LoRAs that members have made from these files; one in use goes when room is made."""
        for name in list(self._adapters):
            stored = stored_lora(name)
            if stored is not None and stored.sha256 in sha256s and not self._users[name]:
                self._drop(self._adapters.pop(name))

    # Loading

    def _read(self, name: str, reporter: Reporter) -> tuple[dict[str, torch.Tensor], str, GuidedUse | None]:
        path = self._find(name, reporter)
        use = guided_lora.read(contents.header(path).get("__metadata__", {}), shown_lora(name))
        try:
            return load_file(path), f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}", use
        except (OSError, SafetensorError) as error:
            raise ModelError(f"The LoRA {shown_lora(name)} can't be read.") from error

    def _add(self, name: str, tensors: dict[str, torch.Tensor], file: str) -> None:
        if name in self._adapters:  # another job was as quick
            return
        if not hasattr(self._pipe, "load_lora_weights"):
            raise UserError(f"{self._name} takes no LoRAs.")
        self._make_room()
        self._count += 1
        adapter = f"lora{self._count}"  # peft allows no dots in it
        try:
            with self._peft_itself(), warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", "Already found a `peft_config`"
                )  # several adapters are what is wanted
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
        self._adapters[name], self._files[name] = adapter, file
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
        for name in list(self._adapters):
            if len(self._adapters) < MAX_LOADED:
                return
            if not self._users[name]:
                self._drop(self._adapters.pop(name))
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
        return [
            part
            for name, part in self._pipe.components.items()
            if isinstance(part, torch.nn.Module) and name != "vae"
        ]

    def _layers(self) -> Iterator[LoraLayer]:
        return (
            module for part in self._parts() for module in part.modules() if isinstance(module, LoraLayer)
        )

    def _deactivate(self) -> None:
        """Switch adapters off as far as peft knows, so that a layer computes what it did before, bit for bit;
        what ``_plan`` adds, our hook adds."""
        for layer in self._layers():
            layer.enable_adapters(False)
            if id(layer) not in self._hooked:
                layer.register_forward_hook(self._add_to)
                self._hooked.add(id(layer))

    def _add_to(self, layer: LoraLayer, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        """Return ``output`` (B, …) of the plain layer, plus scale · B(A(x)) for the rows that have a LoRA (Hu
        et al., arXiv:2106.09685, eq. 3)."""
        for adapter, rows, weights in self._plan:
            if adapter not in layer.lora_A:
                continue
            down, up, x = layer.lora_A[adapter], layer.lora_B[adapter], args[0]
            x = x if rows is None else x[rows.to(x.device)]
            change = up(down(x.to(down.weight.dtype))) * layer.scaling[adapter]
            if rows is None:
                output = output + (change * weights).to(output.dtype)
            else:
                change = change * weights.to(change).view(-1, *[1] * (change.ndim - 1))
                output = output.index_add(0, rows.to(output.device), change.to(output.dtype))
        return output


def _put_into(
    module: torch.nn.Module,
    adapter_name: str,
    adapter_state_dict: dict[str, torch.Tensor],
    peft_config: LoraConfig,
    **_: Any,
) -> None:
    inject_adapter_in_model(peft_config, module, adapter_name)
    set_peft_model_state_dict(module, adapter_state_dict, adapter_name)
