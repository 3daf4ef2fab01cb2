"""What tests of several packages build on: servers, tiny models, videos, and ways to be quick."""

import os

# At night (make real-test) nothing of the program is replaced in order to be quick.
REAL = os.environ.get("ATELIER_TESTS") == "real"
