"""What Atelier is worth, measured: ``make bench``, or ``python -m benchmarks [ROW …]``. Not part of the
installed product."""
