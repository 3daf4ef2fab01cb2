"""Code that pages quote from a file, named in its fence, is in that file word for word."""

import re

from core.settings import ROOT

QUOTE = re.compile(r'^```python title="([^"]+)"\n(.+?)^```$', re.DOTALL | re.MULTILINE)


def test_quoted_code_is_in_the_file_that_it_is_quoted_from() -> None:
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    quotes = [quote for page in pages for quote in QUOTE.findall(page)]
    changed = [name for name, code in quotes if code not in (ROOT / name).read_text(encoding="utf-8")]
    assert len(quotes) >= 9 and changed == []
