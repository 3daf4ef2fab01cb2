"""The process of a llama.cpp server: ``python -m tests.servers.llama FOLDER PORT``, until it is ended."""

import signal
import sys
from pathlib import Path

from tests.servers.as_gguf import EYES, TEXT

SLOTS = 4  # answers at once


def main() -> None:
    import xllamacpp

    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.mmproj.path = str(folder / TEXT), str(folder / EYES)
    parameters.port, parameters.n_parallel, parameters.n_ctx = port, SLOTS, 2048 * SLOTS
    parameters.n_gpu_layers, parameters.warmup, parameters.use_jinja = 0, False, True
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
