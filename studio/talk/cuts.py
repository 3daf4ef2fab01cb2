"""Where a sentence is cut into its changes: only where what follows is a change by itself.

By patterns a sentence is taken apart at marks and at *and*, and each part is read: a change, or what belongs
to the change before it, such as a reason, a courtesy or a closer description. What was learned of the cuts
of many writers weighs that with the words beside each gap.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from core.talk import MAX_CHANGES
from studio.talk.classifier import Weights, chances, stored_weights
from studio.talk.words import READ, plain, read_words

CUT = 0.33  # a gap that is likelier to be a cut is one
MOST_GAPS, MOST_PLAIN = 30, 20  # gaps that are weighed, and words of a sentence whose plain gaps are, too

_BETWEEN = re.compile(
    r"\s*(?:[,;:.!?]{1,4}(?=\s)|\s[-–—]+\s)\s*(?:(?:and|nd|&|\+|n|then|also|plus|but|so|moreover)\s+){0,3}"
    r"|\s+(?:and|nd|&|\+|n|then|plus)\s+(?:(?:also|then|now|please|maybe)\s+){0,2}",
    re.I,
)
_VERBS = frozenset(
    "make change turn replace swap switch exchange add remove put give paint color colour recolor"
    " recolour take"
    " drop lose delete erase let move place set hang draw get ditch kill stick pop chuck throw fill"
    " cover open"
    " close lift tuck wrap keep bring shift flip tint warm soften sharpen brighten darken lighten blur"
    " pull push"
    " scatter sprinkle use try show write insert cut fix trim raise lower rotate mirror mute tone seat"
    " plant kick"
    " leave have clear wipe smooth round thicken dress light dim swing crop want perch widen shrink"
    " enlarge scrap"
    " convert include do bump dial restore attach tie".split()
)
_LEAD = frozenset(
    "and also then now please pls kindly but so ok okay maybe perhaps just well oh first secondly next"
    " moreover can"
    " could would will you to do the too".split()
)
_AMOUNT = frozenset(
    "a an some more less fewer no two three four five six another several many few lots one plus minus"
    " extra tiny"
    " little".split()
)
_PLACES = frozenset(
    "on in at under above below behind next beside near around over inside along between".split()
)
_BESIDES = re.compile(  # what belongs to the change before it, or after it
    r"^(?:because|since|cause|cos|bc|which|who|whose|where|when|if|as|unless|otherwise|else|or|like"
    r"|really|much"
    r"|very|never|almost|dear|love|thanks?|that's|thats|there's|isn't|i|i'm|i've|i'd|we|we're|we'd|you"
    r"|not|rather"
    r"|than|especially|even|till|until|for|to|shall|(?:would|could|can) you$|keep|leave|slightly|right|back"
    r"|same|with(?!out)|whereas|though|and i quote|no (?:reason|two|lad|dear)|yes|yeah|wait|goodness|ah"
    r"|oh|ha+|hm+|um|well|good|great|nice|cool|hey|hello|dear|love|sorry|(?:other|opposite) way (?:round"
    r"|around)|inverse|let's flip it|far|close|further|one (?:in|of|with)|two (?:in|of)"
    r"|more (?:like|of)|one (?:per|each)|four or|in that case|what|is|ours|just (?:like|as)|exactly|say|see"
    r"|let's see|let us (?:try|see) it|(?:the|that) .* (?:i|we) (?:mean|meant)|i must say|except|only"
    r"|half|each|both|first"
    r"|(?:take|use|in|on|off|from|about|with|for) (?:the )?(?:very )?(?:first|second|third|last|one"
    r"|picture|pic"
    r"|number|version|still|original|second)\b.*)(?![\w'])"
)
_WISH = re.compile(r"\b(?:should|needs?|must|wants?|could|ought|might|may|would be|gets?|becomes?)\b")
_COMPLAINT = re.compile(
    r"\b(?:too(?!$)|rather(?! than)|quite|looks?|seems?|strikes?|feels?|appears?|boring|odd|ugly|missing"
    r"|lacks?|dull|wrong"
    r"|bothers?|dislike|hate|don't|doesn't|isn't|aren't|wasn't|fighting|stark|nonsense|gibberish"
    r"|stealing|distracting|nonsense|gibberish|stealing|distracting|not|was|were|had|always"
    r"|used to|resembles)\b"
)
_NAMES = frozenset(("thing", "part", "scene"))
_DESCRIBED = frozenset(("colour", "light", "size", "praise"))


def _says(part: str, first: bool, added: bool) -> bool:
    """Whether a part of a sentence is a change by itself. added: whether *and* or a plus is before it."""
    words = [word for word in read_words(plain(part)) if word.text[0].isalnum()]
    at = 0
    while at < len(words) - 1 and words[at].text in _LEAD and words[at].text not in _AMOUNT:
        at += 1
    rest = words[at:]
    if not rest:
        return False
    texts = [word.text for word in rest]
    text, start = " ".join(texts), texts[0]
    named = [word.kind in ("thing", "part", "scene") for word in rest]
    described = [
        word.kind in _DESCRIBED or (not word.kind and len(word.text) > 5 and word.text.endswith("er"))
        for word in rest
    ]
    if re.match(r"(?:i|we)(?:'d| would| should)? (?:rather|like|prefer|want|need|love|lose|have)\b", text):
        return True
    if _BESIDES.match(" ".join(word.text for word in words)) or _BESIDES.match(text):
        return (added and start == "with") or (start in ("only", "both", "half", "each") and any(named))
    if start in _VERBS and len(rest) > 1:
        return True
    if _WISH.search(" ".join(texts[1:])):
        return True
    if re.search(
        r"\bso (?:please |do |just |let's )?(?:make|give|mute|halve|put|add|remove|let|take|change)\b", text
    ):
        return True
    if _COMPLAINT.search(text) and start not in _AMOUNT:
        return False
    if re.match(r"(?:it|he|she|they|this|that|there|it's|he's|she's|they're|he'll|she'll|it'll)$", start):
        return first
    if len(rest) == 1:
        return first or (added and (named[0] or rest[0].kind == "style"))
    if texts[-1] in ("one", "ones") or (all(described) and not first):
        return False
    if start.endswith(("ing", "ed")) and not rest[0].kind and not first:
        return False
    return True


_MENDS = re.compile(r"^\W*(?:(?:so|please|just|and) )*\w+ (?:it|them|that|him|her)\b", re.I)
_STATES = re.compile(
    r"^(?!.*\b(?:should|could|must|needs?|wants?)\b)[^.;]*?(?:'s|'re|\bis|\bare|\blooks?|\btoo)\b", re.I
)


def _between_pairs(said: str) -> list[int]:
    """Return where pairs of a name and a description meet, with nothing between: "door yellow roof red"."""
    found = [
        (match.start(), words[0].kind)
        for match in re.finditer(r"[\w'-]+", said)
        if (words := read_words(plain(match[0])))
    ]
    if not 4 <= len(found) <= 7 or found[0][1] not in _NAMES or found[-1][1] not in _DESCRIBED:
        return []
    return [
        at
        for (_, before), (at, kind) in zip(found, found[1:], strict=False)
        if before in _DESCRIBED and kind in _NAMES
    ]


class Gap(NamedTuple):
    """Between two words: where what is before it ends, where what is after it begins, and what counts."""

    end: int
    begin: int
    features: frozenset[str]


def cut_changes(said: str, weights: Weights | None = None) -> tuple[str, ...]:
    """Return the changes that a sentence asks for, each in the words of ``said``; a long text is one.
    weights: others than those that come with the program."""
    weights = weights or stored_weights("cuts")
    quoted = [found.span() for found in _QUOTED.finditer(said)]
    found = [
        (chances(gap.features, weights)[1], gap)
        for gap in gaps(said)
        if not any(begin < gap.end and gap.begin < end for begin, end in quoted)
    ]
    likely = sorted((one for one in found if one[0] > CUT), key=lambda one: -one[0])[: MAX_CHANGES - 1]
    at = sorted((gap.end, gap.begin) for _, gap in likely)
    ends, begins = [*(end for end, _ in at), len(said)], [0, *(begin for _, begin in at)]
    parts = [said[begin:end].strip(" ,.;:!?") for begin, end in zip(begins, ends, strict=True)]
    return tuple(part for part in parts if part and not _COURTESY.fullmatch(part))


_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_COURTESY = re.compile(
    r"(?:\b(?:please|pls|thanks|oh|ok|okay|mm+|hm+|um|uh|yes|no|sorry|well|and)\b\W*)+", re.I
)
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,;:.!?…&+–—]+|-(?=\s)")
_MARKS = frozenset("and nd n but then plus also uh um".split())


def _class(token: str) -> tuple[str, str]:
    """Return the class of a word or mark, and how it is spelt."""
    word = next(iter(read_words(plain(token))), None)
    if word is None or not word.text[0].isalnum():
        return f"P{token[0]}", token
    text = word.text
    if text in _VERBS:
        return "VERB", text
    if word.kind:
        return word.kind.upper(), text
    if text[0].isdigit():
        return "NUM", text
    if text.endswith("er") and len(text) > 4:
        return "CMP", text
    return ("AMT" if text in _AMOUNT else "PLACE" if text in _PLACES else text), text


def _shape(part: list[tuple[str, str]]) -> str:
    """Return what a part has: what can be named, described, done; a wish, a complaint, what only belongs."""
    kinds, text = {kind for kind, _ in part}, " ".join(text for _, text in part)
    has = (
        kinds & _NAMES_OF_CLASS,
        kinds & _DESCRIBES,
        "VERB" in kinds,
        _WISH.search(text),
        _COMPLAINT.search(text),
        _BESIDES.match(text),
    )
    return "".join(letter if one else "-" for letter, one in zip("ndvwcb", has, strict=True))


_NAMES_OF_CLASS = frozenset(("THING", "PART", "SCENE"))
_DESCRIBES = frozenset(("COLOUR", "LIGHT", "SIZE", "PRAISE", "CMP", "STYLE"))


def gaps(said: str) -> list[Gap]:
    """Return where a sentence may be cut; nowhere in a long text."""
    if len(said) > READ:
        return []
    tokens = [(found.start(), found.end(), found[0]) for found in _TOKEN.finditer(said)]
    classes = [_class(token) for _, _, token in tokens]
    is_mark = [not token[0].isalnum() or token.lower() in _MARKS for _, _, token in tokens]
    ruled, at = set(), 0
    for part in _changes_by_patterns(said)[1:]:
        at = said.find(part, at + 1)
        ruled.add(at)
    asks, found = said.rstrip().endswith("?"), list[Gap]()
    for right in range(1, len(tokens)):
        left = right
        while left > 0 and is_mark[left - 1]:
            left -= 1
        if is_mark[right] or left == 0 or (left == right and len(tokens) > MOST_PLAIN):
            continue
        first, last = left - 1, right
        while first > 0 and not is_mark[first - 1]:
            first -= 1
        while last < len(tokens) - 1 and not is_mark[last + 1]:
            last += 1
        begin, end = tokens[right][0], tokens[left - 1][1]
        rule = any(end <= one <= begin for one in ruled)
        before, after = classes[max(0, left - 3) : left][::-1], classes[right : right + 4]
        (near, _), (next_, _) = before[0], after[0]
        names = {f"L{n} {kind}" for n, (kind, _) in enumerate(before)}
        names |= {f"L{n}w {text}" for n, (_, text) in enumerate(before)}
        names |= {f"R{n} {kind}" for n, (kind, _) in enumerate(after)}
        names |= {f"R{n}w {text}" for n, (_, text) in enumerate(after)}
        names |= {f"R {rule}", f"LR {near} {next_}", f"nR {min(last - right + 1, 6)}"}
        names |= {f"RR {next_} {kind}" for kind, _ in after[1:2]}
        names |= {f"LL {kind} {near}" for kind, _ in before[1:2]}
        if left == right:
            found.append(Gap(end, begin, frozenset({"N", *(f"N{name}" for name in names)})))
            continue
        mark = " ".join(token.lower()[:3] for _, _, token in tokens[left:right])
        one, two = _shape(classes[first:left]), _shape(classes[right : last + 1])
        size, length = min(left - first, 6), min(last - right + 1, 5)
        names |= {f"M {mark}", f"RM {rule} {mark}", f"MLR {mark} {near} {next_}", f"MR {mark} {next_}"}
        names |= {f"MRR {mark} {next_} {kind}" for kind, _ in after[1:2]}
        names |= {f"ML {mark} {near}", f"HL {one}", f"HR {two}", f"HLR {one} {two}", f"MHR {mark} {two}"}
        names |= {f"nL {size}", f"nRM {mark} {length}", f"nn {min(size, 4)} {min(length, 4)}"}
        names |= {f"end {last >= len(tokens) - 2}", f"first {first == 0}", f"q {asks}"}
        found.append(Gap(end, begin, frozenset(names)))
    return found[:MOST_GAPS]


def _changes_by_patterns(said: str) -> list[str]:
    """Return the changes of a sentence as its marks and the shapes of its parts cut it."""
    if pairs := _between_pairs(said):
        ends = [*pairs[: MAX_CHANGES - 1], len(said)]
        return [said[a:b].strip(" ,.;!") for a, b in zip((0, *ends), ends, strict=False)]
    found = [match for match in _BETWEEN.finditer(said) if match.start() > 0 and match.end() < len(said)]
    groups: list[tuple[int, int, bool]] = []  # begin, end, whether it is a change
    begin, mark = 0, ""
    for match in (*found, None):
        end = match.start() if match else len(said)
        part = said[begin:end]
        if part.strip(" ,.;:!?"):
            change = _says(part, not groups, bool(re.search(r"and|nd|&|\+|plus|\bn\b", mark)))
            # "the snow is too heavy, halve it" is one change
            mends = groups and _MENDS.match(part) and _STATES.search(said[groups[-1][0] : groups[-1][1]])
            belongs = mends or not change or not groups[-1:] or not groups[-1][2]
            if groups and (belongs or _is_pair(said[: groups[-1][1]], mark, part)):
                last = groups.pop()
                groups.append((last[0], end, change or last[2]))
            else:
                groups.append((begin, end, change))
        begin, mark = (match.end(), match[0]) if match else (end, "")
    changes = [said[begin:end].strip(" ,.;:!?") for begin, end, _ in groups]
    return changes


def _is_pair(left: str, mark: str, right: str) -> bool:
    """Whether a mark joins two words of one description: "red and gold", "bread and butter"."""
    before, after = read_words(plain(left)), read_words(plain(right))
    if not before or not after or re.search(r"[.;!?]", mark):
        return False
    kinds = (before[-1].kind, after[0].kind)
    if (
        kinds[0] == kinds[1]
        and kinds[0] in _DESCRIBED
        and not any(w.kind in ("thing", "part", "scene") for w in before)
    ):
        return True
    if after[0].kind == before[-1].kind == "thing" and len(before) > 3 and "," not in mark:
        return before[-2].text not in ("a", "an", "the", "some", "his", "her", "two")
    if "," in mark or len(after) == 1:
        return len(after) == 1 and kinds[0] == kinds[1] and "+" not in mark
    return (
        after[0].text in ("the", "his", "her", "its")
        and len(after) == 2
        and before[-1].kind in ("thing", "part")
    )
