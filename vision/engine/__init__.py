"""Steps of different jobs in one pass: every job is a whole diffusers pipeline call that stands still where
it needs the denoiser.

``engine`` runs the jobs and decides with ``policy`` which of the waiting calls are evaluated together;
``rows`` joins and parts them; ``denoiser`` is what a pipeline has in place of its UNet or transformer. How:
docs/engine.md.
"""

from vision.engine.denoiser import Call, Denoiser
from vision.engine.engine import Engine, Seat

__all__ = ["Call", "Denoiser", "Engine", "Seat"]
