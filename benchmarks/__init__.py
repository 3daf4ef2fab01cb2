"""What Atelier is worth, measured: ``make bench``, or ``python -m benchmarks [ROW …]``. Not part of the
installed product."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a worker, before anything loads numpy
