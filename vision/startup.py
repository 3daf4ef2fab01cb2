"""How a worker process gets ready: its environment, its logs, and the imports that every job needs."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AtelierError, ModelError
from core.redact import RedactingFormatter, Redactor
from vision.protocol import Ready, WorkerConfig
from vision.weights import contents, identify, local, sources

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from vision.model_store import Models

log = logging.getLogger(__name__)


def set_up_logs(config: WorkerConfig) -> Redactor:
    """Log to stderr and return what redacts the lines: the host's token, and the words of jobs once they are
    added, which libraries like to repeat in warnings."""
    redact = Redactor([config.hf_token])
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", redact))
    logging.basicConfig(level=config.log_level.upper(), handlers=[handler])
    return redact


def prepare_environment(config: WorkerConfig) -> None:
    """Set the environment variables that libraries read once, at their import."""
    kind, _, index = config.device.partition(":")
    if kind == "cuda":
        seen = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(index or 0)] if seen else index or "0"
    elif kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "passive"
    )  # threads that spin at barriers take the core from who has the work
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:  # torch's older name for the same, which a host may use
        os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(Path(config.cache_dir).resolve() / "inductor")
    )  # what is compiled outlives this process
    if not config.allow_download or everything_here(config):
        os.environ["HF_HUB_OFFLINE"] = "1"


def everything_here(config: WorkerConfig) -> bool:
    """Return whether nothing is left to fetch: everything of the hub is complete, and every model in a single
    file has its configuration beside it."""
    models = (*config.models.values(), *config.image_models.values(), *config.video_models.values())
    others = (*config.loras.values(), *config.tiny_vaes.values())
    for spec in (*models, *others):
        with contextlib.suppress(ModelError):
            source = sources.parse(spec)
            path = local.find(source, Path(config.cache_dir))
            if source.kind == "hub" and path is None:
                return False
            if source.kind == "file" and spec in models and path and contents.config_folder(path) is None:
                return False
    return True


def start(config: WorkerConfig, slots: int) -> tuple[Models, Ready]:
    """Import what every job needs; return the empty model store and what the worker says of itself."""
    begun = time.monotonic()
    import torch

    from vision import devices
    from vision.model_store import Models

    torch.set_num_threads(config.cpu_threads or 1)
    quiet_libraries()
    models = Models(config)
    _import_pipelines(config)
    gc.freeze()
    gc.enable()
    name, (_, total) = devices.name(models.device), devices.memory(models.device)
    log.info("worker for %s (%s) ready in %.1f s", config.device, name, time.monotonic() - begun)
    return models, Ready(config.device, os.getpid(), name, total, slots)


def quiet_libraries() -> None:
    """Turn off the progress bars and the advice of diffusers and transformers: loading has its own log
    lines."""
    import diffusers
    import transformers
    from tqdm import tqdm

    tqdm.set_lock(
        threading.RLock()
    )  # its own is shared between processes, and of one that was killed Python warns when the bot ends
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _import_pipelines(config: WorkerConfig) -> None:
    """Import the configured family's classes now, so that the first job doesn't wait seconds for it."""
    import diffusers

    with contextlib.suppress(AtelierError, OSError, AttributeError, KeyError):
        path = local.find(sources.parse(config.models["image"]), Path(config.cache_dir))
        family = identify.family_of_folder(path) if path and path.is_dir() else None
        for name in (family.text, family.image, family.inpaint) if family else ():
            if name:
                getattr(diffusers, name)
