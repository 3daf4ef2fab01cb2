"""What a device can do: name, memory, dtypes, what its errors mean, and how a model gets there."""

import copy
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch

from core.errors import ModelError, first_line

log = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=torch.nn.Module)
# bytes of weights; below, a second CPU thread costs more in barriers than it brings
SMALL_MODEL = 200 * 2**20


def _accelerator(device: str | torch.device) -> Any:
    """Return torch's module for the kind of accelerator that ``device`` is; None for a processor."""
    kind = torch.device(device).type
    return None if kind == "cpu" else torch.get_device_module(kind)


def name(device: str) -> str:
    """Return the name of the GPU or processor."""
    module = _accelerator(device)
    if hasattr(module, "get_device_name"):
        return module.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if device == "cpu" and cpuinfo.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return device


def memory(device: str | torch.device) -> tuple[int, int]:
    """Return (free, total) bytes of the device's memory. What torch's allocator keeps there and doesn't use
    counts as free. Metal's is the host's, of which it gives programs a share."""
    module, host = _accelerator(device), psutil.virtual_memory()
    if module is None:
        return host.available, host.total
    if not hasattr(module, "mem_get_info"):
        total, used = module.recommended_max_memory(), module.current_allocated_memory()
        return min(total - used, host.available + module.driver_allocated_memory() - used), total
    free, total = module.mem_get_info(device)
    return free + module.memory_reserved(device) - module.memory_allocated(device), total


def measured(device: torch.device, work: Callable[[], T]) -> tuple[T, int | None]:
    """Return what ``work`` returns, and the bytes it took on the device; None on a processor and on Metal."""
    module = _accelerator(device)
    if not hasattr(module, "reset_peak_memory_stats"):
        return work(), None
    module.reset_peak_memory_stats(device)
    before = module.memory_allocated(device)
    made = work()
    return made, module.max_memory_allocated(device) - before


def timer(device: torch.device) -> Any:
    """Return an event that notes when the device gets to it; None for a processor, where the caller waits."""
    module = _accelerator(device)
    return None if module is None else module.Event(enable_timing=True)


def has_bfloat16(device: str) -> bool:
    """Return whether the device computes in bfloat16: NVIDIA's from Ampere on, Apple's from macOS 14 on."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.startswith("xpu") or (device == "mps" and torch.backends.mps.is_macos_or_newer(14, 0))


def has_float8() -> bool:
    """Return whether the graphics card multiplies in float8: NVIDIA's from Ada (8.9) on."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 9)


def choose_dtype(device: str, setting: str, *, float16: bool = True) -> torch.dtype:
    """Return the dtype of weights. setting "auto": float32 on a CPU (half types are slow or unsupported
    there), else bfloat16 where the device has it, else float16 where the model may, else float32."""
    if setting != "auto":
        return getattr(torch, setting)
    if device != "cpu" and has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device != "cpu" and float16 else torch.float32


def choose_threads(setting: int, weights: int) -> int:
    """Return the CPU threads for a model of ``weights`` bytes. setting: 0 = choose. A small model gets one:
    OpenMP waits at barriers, and beside another busy process two threads were 4 to 40 times slower than one.
    A larger one gets every physical core."""
    if setting:
        return setting
    return 1 if weights < SMALL_MODEL else max(1, psutil.cpu_count(logical=False) or 1)


def has_spare_core(device: str) -> bool:
    """Return whether a thread can work beside the passes of a model: on a GPU, or where a core is idle."""
    return device != "cpu" or torch.get_num_threads() < (psutil.cpu_count() or 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error is CUDA's, MPS's or the CPU allocator's for too little memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)


@contextmanager
def refusing(problem: str, *, tells: bool = False) -> Iterator[None]:
    """Make a ModelError with the sentence ``problem`` of what libraries raise inside the ``with`` block for
    files that they can't load, unless memory is out. tells: the error's first line is added to it, and the
    rest goes into the log."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, ImportError) as error:
        if is_out_of_memory(error):
            raise
        if tells:
            log.exception(problem)
        raise ModelError(f"{problem}: {first_line(error)}" if tells else problem) from error


def is_sticky(error: BaseException) -> bool:
    """Return whether this is a CUDA error after which every later call of this process fails too."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    signs = ("CUDA error", "device-side assert", "cuDNN error")
    return isinstance(error, torch.AcceleratorError) or any(sign in str(error) for sign in signs)


def settle() -> None:
    """Wait until the device has done what it was given, where it works on while the caller does."""
    if torch.accelerator.current_accelerator(check_available=True) is not None:
        torch.accelerator.synchronize()


def release() -> None:
    """Give cached memory back to the device. Not in an ``except`` block: it holds tensors."""
    gc.collect()
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is not None:
        torch.get_device_module(found.type).empty_cache()


LOCAL = {"local_files_only": True, "trust_remote_code": False}  # how files of transformers are read


def quantization(library: Any, kind: str, dtype: torch.dtype) -> Any:
    """Return how ``library``, diffusers or transformers, quantises a model's weights: alone, or with a scale
    for each row, so that rows don't meet. kind: int8, fp8 or nf4. dtype: in which nf4's products are made."""
    if kind == "nf4":
        nf4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
        return library.BitsAndBytesConfig(load_in_4bit=True, **nf4)
    from torchao import quantization

    if kind == "int8":
        return library.TorchAoConfig(quantization.Int8WeightOnlyConfig())
    if dtype is not torch.bfloat16 or not has_float8():
        return library.TorchAoConfig(quantization.Float8WeightOnlyConfig())
    by_rows = {"granularity": quantization.PerRow(), "set_inductor_config": False}  # else float32 is TF32
    return library.TorchAoConfig(quantization.Float8DynamicActivationFloat8WeightConfig(**by_rows))


def load_pretrained(kind: Any, folder: Path, device: str, dtype: torch.dtype, quantize: str = "off") -> Any:
    """Return the model in a folder, read by a class of transformers, on a device and ready to answer.
    quantize: off, or see ``quantization``."""
    how: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, **LOCAL}
    if quantize == "off":
        return kind.from_pretrained(folder, **how).to(device).eval()
    import transformers  # which takes a second: not of everybody who asks about devices

    how["quantization_config"] = quantization(transformers, quantize, dtype)
    return kind.from_pretrained(folder, device_map={"": device}, **how).eval()


def shared_weights_copy(module: M) -> M:
    """Return a copy of the module tree over the very same tensors: it takes next to no memory, and changes to
    its modules don't reach the original."""
    # what deepcopy has "copied" already, it takes as it is
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, tensors)


def moved_to(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a processor made for a model, on its device and in its dtype."""
    moved = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, torch.Tensor):
            moved[name] = value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
    return moved
