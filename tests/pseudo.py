"""A language for tests: every text in it stands between ⟦ and ⟧ and is about 40 % longer. What is left
outside of them was never marked."""

import gettext
import re

VOWELS = str.maketrans("aeiouAEIOU", "åéîøüÅÉÎØÜ")
_STAYS = re.compile(r"(\{[^{}]*\}|%\(\w+\)s|<[^>]*>|`[^`]*`|&\w+;)")
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")


class Pseudo(gettext.NullTranslations):
    """Translates every text that it is asked for."""

    def gettext(self, message: str) -> str:
        """Return a text in the language."""
        parts = _STAYS.split(message)
        words = "".join(part if at % 2 else part.translate(VOWELS) for at, part in enumerate(parts))
        return f"⟦{words}{'~' * round(0.4 * len(message))}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the text for ``n`` of something in the language."""
        return self.gettext(msgid1 if n == 1 else msgid2)


def untranslated(text: str) -> str:
    """Return what is left of a text without what is in the language."""
    while text != (less := _MARKED.sub(" ", text)):
        text = less
    return text
