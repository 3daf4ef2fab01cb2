"""Which workers to start: one for each device, configured from the settings."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from core.errors import AtelierError
from core.settings import Settings
from vision.describe_models import probe_devices
from vision.protocol import WorkerConfig

# The drivers' files: NVIDIA, NVIDIA, AMD, WSL, Intel
_GPU_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri/renderD128")
NO_TORCH = "torch can't be loaded on this machine. `make doctor` says more."


async def worker_configs(settings: Settings) -> list[WorkerConfig]:
    """Return the configuration of each worker.

    Raises AtelierError when DEVICES is "auto" and torch can't be loaded.
    """
    return [
        WorkerConfig(
            device=device,
            models=settings.models,
            cache_dir=str(settings.data_dir / "cache"),
            dtype=settings.dtype,
            offload=settings.offload,
            cpu_threads=settings.cpu_threads,
            allow_download=settings.allow_download,
            hf_token=settings.hf_token,
            log_level=settings.log_level,
            image_models=settings.image_models,
            video_models=settings.video_models,
            loras=settings.loras,
            exact=settings.exact,
            ip_adapter=settings.ip_adapter,
            controlnet=settings.controlnet_model,
            tiny_vaes=settings.tiny_vaes,
            compile=settings.compile,
            quantize=settings.quantize,
            video_encoder=settings.video_encoder,
            traces=settings.otel_exporter_otlp_endpoint,
            traces_headers=settings.otel_exporter_otlp_headers,
        )
        for device in await asyncio.to_thread(devices, settings.devices)
    ]


def devices(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Return the devices to start workers on. "auto" means every GPU that torch can use, or else the
    processor; a child process finds out, so that this one loads no torch.

    Raises AtelierError when that can't load torch either.
    """
    if asked != ("auto",):
        return asked
    if sys.platform.startswith("linux") and not any(Path(node).exists() for node in _GPU_NODES):
        return ("cpu",)  # no driver, no GPU: this saves the seconds that loading torch takes
    found = [entry["device"] for entry in probe_devices()]
    if not found:
        raise AtelierError(NO_TORCH)
    return tuple(name for name in found if name != "cpu") or ("cpu",)
