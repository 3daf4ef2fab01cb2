"""``python -m tests.core.grammar``: reads random prompts and reports."""

import sys

from tests.core.prompt.random_prompts import main

sys.exit(main())
