"""Steps of different jobs in one pass: every job is a whole diffusers pipeline call that stands still where
it needs the denoiser.

``engine`` runs the jobs (each a ``fiber``) and decides with ``batching`` which of the waiting calls are
evaluated together, by what ``durations`` knows; ``passes`` evaluates them, and ``rows`` joins and parts their
arguments; ``denoiser`` is what a pipeline has in place of its UNet or transformer. Work without passes is
batched by ``shared_calls``. How: docs/engine.md.
"""

from vision.engine.denoiser import Call, Denoiser
from vision.engine.engine import Engine
from vision.engine.fiber import Fiber

__all__ = ["Call", "Denoiser", "Engine", "Fiber"]
