"""``python -m tests.core.prompt``: reads random prompts and reports."""

import sys

from tests.core.prompt.random_prompts import main

sys.exit(main())
