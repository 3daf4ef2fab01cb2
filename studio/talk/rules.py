"""What a sentence says by patterns: cues for each kind, which picture, which sides, how it is cut.

Nothing here decides a kind alone: ``studio.talk.decide`` weighs the cues with what was learned. All patterns
are read on at most ``READ`` characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from core.talk import MAX_CHANGES, Picture, Side, State
from studio.talk.words import READ, plain, read_words, things_in

ORDINALS = {
    **dict.fromkeys(("1", "1st", "first", "one", "uno", "upper left", "top left", "left top"), 1),
    **dict.fromkeys(("2", "2nd", "second", "two", "dos", "upper right", "top right", "right top"), 2),
    **dict.fromkeys(("3", "3rd", "third", "three", "lower left", "bottom left", "left bottom"), 3),
    **dict.fromkeys(("4", "4th", "fourth", "four", "last", "final", "lower right", "bottom right"), 4),
}
_ORDINAL = "|".join(sorted(map(re.escape, ORDINALS), key=len, reverse=True))
_NUMBERED = re.compile(
    r"\b(?:u|nr|no|number|numero|#|picture|pic|image|version|grid|option|the)?[ .]*#? ?(" + _ORDINAL + r")\b"
)
_PICTURE = r"(?:picture|pic|image|img|version|drawing|render|result|frame|try|attempt|variant|variation)s?"
_OF_NUMBER = re.compile(
    rf"\b(?:{_PICTURE}|number|no\.|nr\.?|num|grid|#)\s*#?(\d+|one|two|three|four|five|six)\b"
    rf"|\b(first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th)\s+{_PICTURE}\b|#(\d+)\b"
)
_FIRST = re.compile(
    r"\b(?:very first|original|initial|at the (?:start|beginning)|the beginning|where we (?:started|began)"
    r"|(?:i|we) (?:started|began) with|first (?:one|version|picture|pic|try|attempt|lot|ones|set|batch|draft|state|form)"
    r"|the first|how (?:did )?it (?:start|look)|square one|starting point|og)\b"
)
NUMBERS = {
    w: n
    for n, ws in enumerate(
        ("one first 1st", "two second 2nd", "three third 3rd", "four fourth 4th", "five fifth 5th", "six"), 1
    )
    for w in ws.split()
}

CUES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        (
            "undo",
            r"\b(?:undo|revert|reverse (?:that|it|the last)|ctrl[ +-]?z|roll (?:it |that )?back|take (?:that|it) back|step back|go back|back up|(?:one|two|a) steps? back(?:wards)?|unmake|cancel that|scratch that|never ?mind)\b",
        ),
        (
            "redo",
            r"\b(?:redo|forward again|put (?:it|that) back|after all|changed my mind|bring (?:it|that) back)\b",
        ),
        (
            "back",
            r"\b(?:back to|previous|prev|earlier|return to|restore|the one before|before (?:that|the|we|i|all|it)|was (?:better|nicer|best|prettier|funnier|cleaner|cooler)|were (?:better|nicer)|looked (?:better|cleaner|nicer)|prefer(?:red)?|original|old one|as it was|the way it was|liked .* (?:more|better)|bring back|back please|back pls|fetch)\b",
        ),
        ("again at end", r"\bagain\b[ ,]*(?:please|pls|dear|now)?[.! ]*$"),
        ("back at end", r"\bback\b[ ,]*(?:please|pls|dear|now|again)?[.!? ]*$"),
        (
            "still",
            r"\b(?:still|stands still|not moving|without (?:the )?mov\w*|no movement|frozen|not the (?:clip|video))\b",
        ),
        (
            "video",
            r"\b(?:animat\w*|gif|video|movie|film|clip|footage|timelapse|time-lapse|loop(?:ed|ing|able|s)?|in motion|motion|moving|move|come (?:alive|to life)|to life|seconds?|secs?|fps|frames)\b",
        ),
        (
            "upscale",
            r"\b(?:up-?scale\w*|up-?res\w*|hi-?res|high-?res\w*|higher?[ -]res\w*|full[ -]res\w*|resolution|4k|8k|2k|hd|uhd|1080p?|dpi|px|pixels|megapixels?|print(?:ed|ing|er|able|s)?|poster|framed?|enlarge\w*|blow (?:it|this|that) up|[248] ?x|x ?[248]|\d{3,5}(?: ?[x×] ?\d{3,5})|\d+ times (?:as|the)|double (?:the )?size|sharper|file|quality|canvas print|a[0-5])\b",
        ),
        (
            "cutout",
            r"\b(?:cut ?-?outs?|cut (?:it |him |her |the \w+ )?out|die-?cut|transparen\w*|isolat\w*|(?:no|without|w/o|remove|drop|kill|delete|lose|minus|erase|strip|rip|knock out)(?: the| any| its| that)? (?:bg|background|backdrop|surroundings)|alpha|by itself|by himself|on (?:its|his|her|their) own|alone|solo|nothing (?:behind|around|else)|sticker|png|see-through|without (?:the )?rest|extract|lift(?:ed)? out|silhouette|clipped)\b",
        ),
        ("only", r"\b(?:just|only)\b"),
        (
            "extend",
            r"\b(?:zoom(?:ed)? (?:it )?out|pull (?:\w+ )?(?:back|out)|wid(?:er|en\w*)|broader|taller|extend\w*|expand\w*|outpaint\w*|uncrop\w*|pan|margins?|more (?:space|room|air|breathing room)|(?:see|show|have|reveal|want)(?: me| us)?(?: a (?:bit|little))? more of|what(?:'s| is) (?:beyond|past|outside|next to|around)|surroundings|aspect|landscape format|16[:x/ ]9|9[:x/ ]16|21:9|further back|step back|cropped|stretch (?:it|that)|beyond the (?:edge|frame))\b",
        ),
        (
            "side",
            r"\b(?:left|right|top|bottom|above|below|sides?|around|edges?|up|down|upwards?|all round|all around)\b",
        ),
        (
            "again",
            r"\b(?:re-?roll\w*|again|another (?:go|try|round|set|batch|take|one|four|grid|version|attempt)|try again|once more|one more time|more (?:like|of|versions|variations|options|ideas|tries|alternatives)|(?:other|different|new|more|further|fresh|next) (?:ones?|four|versions?|variations?|options?|takes?|tries|batch|set|alternatives?|lot|ideas|designs|routes|attempts)|others|alternatives?|variations?|none of these|four more|not (?:it|feeling)|something similar)\b",
        ),
        ("question", r"\?\s*$"),
        (
            "wh",
            r"^(?:and |but |so |ok |okay |wait |hey |hmm |um |erm |hm |oh |,|\.)*(?:what|which|who|whose|where|why|when|how|whats|wheres|hows|what's|where's|who's|how's|is|are|was|were|does|do|did|has|have|am|isn't|aren't|doesn't|didn't)\b",
        ),
        (
            "wish",
            r"^(?:\w+[, ]+){0,3}(?:can|could|would|will|may|might|shall) (?:you|i|we|it|he|she|they|the|that|this|there)\b",
        ),
        (
            "tell",
            r"\b(?:tell me|describe|explain|caption|read (?:it|that|the|me)|count|list|i wonder (?:what|how|if|whether|why))\b",
        ),
        (
            "find",
            r"\b(?:find|search|look (?:up|for|out|through)|lookup|dig|pull up|hunt|locate|retrieve|browse|my (?:\w+ ){0,3}(?:pics|pictures|drawings|images|ones)|where(?:'s| is| are|s| did) (?:my|that|the|those|our)|archive|gallery|library|history|collection|saved|last (?:week|month|year|night|time|summer|winter|autumn|spring|monday|tuesday|wednesday|thursday|friday|saturday|sunday|december|october|christmas|easter)|yesterday|ages ago|(?:days|weeks|months) ago|(?:did|have|had|haven't|didn't) (?:i|we|you) (?:ever|once|already|not|do|make|made|draw|drawn)|ever|all my|all (?:the|our|of my)|everything i|once|somewhere|other ones i)\b",
        ),
        (
            "talk",
            r"\b(?:thanks?|thank you|thx|ty|tysm|tyy+|cheers|hello|hi|hey|good (?:morning|evening|afternoon|night|day|job|work)|bless you|you're (?:the best|great|a star)|nice|lovely|perfect|awesome|great|love it|love this|wow|haha+|lol|lmao+|bye|goodnight)\b",
        ),
        (
            "draw",
            r"^(?:\W*(?:ok|okay|k|now|so|then|and|right|please|hi|hello|hey|yo|next|good|well|great|fine|aight|alright|can|could|would|you|i|we|id|i'd|let's|want|need|like|to|also|a|have|for)\b\W*)*(?:draw|paint|sketch|imagine|generate|create|design|illustrate|render|picture)\b",
        ),
        (
            "new",
            r"\b(?:new (?:one|picture|pic|drawing|image|idea|piece|project|scene|request|thing|job)|another (?:picture|drawing|image|piece|idea|thing)|something (?:else|different|new|completely)|separate(?:ly)?|start (?:over|afresh|fresh|again|from scratch)|from scratch|completely different|different (?:picture|subject|thing)|next (?:up|one|picture|piece|idea|request|thing)?|fresh (?:picture|one|start)|forget (?:that|it|this|the)|enough (?:of|with)|moving on|instead draw|companion|matching|unrelated|now for)\b",
        ),
        ("flags", r"(?:^|\s)--(?:ar|style|niji|v|s|chaos|seed|stylize|tile|q|video|weird)\b|/imagine\b"),
        (
            "command",
            r"\b(?:delete|ban|admin|share|send|email|e-mail|mail|post (?:it|this|that)|publish|upload|tweet|price|cost|costs|pay|paid|premium|buy|order|subscri\w+|refund|settings?|default|password|account|log ?(?:in|out)|token|use (?:the|another|a different|v\d)|switch (?:to the|model|models)|model|tokens|credits?|charge|invoice|discord|instagram|facebook|whatsapp|telephone|phone|server|public|private|system|instructions|remember|wallpaper on|download|export|save (?:it|this|that)|copyright|sell|language|mute|kick|privacy|everyone|copies)\b",
        ),
        (
            "vague",
            r"^(?:\W|a bit|a little|much|hmm*|hm|um|make|it|be|can|could|you|still|needs?|more|do|something|somehow|please|just|idk|the|one|i|want)*(?:better|nicer|more|different|differently|pop|oomph|improve(?:d)?|fix(?: it)?|special|good|cooler|prettier|thing|other|that|stuff|something)?(?:\s(?:it|please|pls|one|thing|somehow))*\W*$",
        ),
        (
            "change",
            r"\b(?:make|change|turn|replace|swap|switch|add|remove|put|instead|give|should|needs?|colou?r|paint|get rid|take (?:away|out|off)|with|without|no more|rather|lose|drop|ditch|kill|become|becomes|into|let the|bring|move|fewer|less|plus)\b",
        ),
        (
            "compare",
            r"\b(?!other|another|water|paper|under|over|after|never|ever|river|winter|summer|flower|tower|corner|center|butter|letter|spider|tiger|computer|poster|sticker|whisker|her|monster|silver|clover|amber|ginger|number|whether|together|rather|matter|wander|wonder|border|upper|lower)\w{2,}(?:ier|er)\b|\b(?:more|less|fewer|too|bit|little|slightly)\b",
        ),
    )
)


def cues(text: str) -> list[str]:
    """Return the names of the cues in a ``plain`` text."""
    read = text if len(text) <= READ else text[: READ - 80] + " " + text[-80:]
    return [name for name, pattern in CUES if pattern.search(read)]


def believed(state: State) -> dict[int, frozenset[str]]:
    """Return what each picture is believed to show: what its words and those before it name."""
    found: dict[int, frozenset[str]] = {}
    for one in state.pictures:
        before = found.get(one.before, frozenset()) if one.before is not None else frozenset()
        found[one.number] = before | things_in(plain(one.words)) | frozenset(one.things)
    return found


def shown(state: State) -> Picture | None:
    """Return the picture that "it" means."""
    number = state.sent[0] if state.sent else state.shown
    return None if number is None else state.picture(number)


def situation(text: str, state: State) -> list[str]:
    """Return what a sentence meets: its cues, and what the conversation is at."""
    found = [f"cue {name}" for name in cues(text)]
    here = shown(state)
    if here is None:
        return [*found, "none"]
    found.append("grid" if here.count > 1 and here.index is None else "picked" if here.count > 1 else "one")
    found.append(f"shown {here.kind}")
    found += (
        ["asked"] * state.asked + ["undo"] * (state.undo is not None) + ["redo"] * (state.redo is not None)
    )
    named, known = things_in(text), believed(state)
    here_known = known.get(here.number, frozenset())
    older = frozenset().union(*known.values()) - here_known
    found += ["names shown"] * bool(named & here_known) + ["names older"] * bool(named & older)
    found += ["names new"] * bool(named - here_known - older) + ["names nothing"] * (not named)
    return found


def numbered_picture(text: str, state: State) -> int | None:
    """Return the number of the picture that a number in a text names: "picture 2", "the very first"."""
    numbers = {one.number for one in state.pictures}
    if found := _OF_NUMBER.search(text):
        word = next(group for group in found.groups() if group)
        number = int(word) if word.isdigit() else NUMBERS[word]
        return number if number in numbers else None
    if numbers and _FIRST.search(text):
        return min(numbers)
    return None


def grid_index(text: str) -> int | None:
    """Return which of four a text names, None where it names none."""
    found = [match for match in _NUMBERED.finditer(text)]
    for match in found:
        if not re.match(r"one\b", match[1]) or len(found) == 1:
            return ORDINALS[match[1]]
    return None


_NAMED = re.compile(
    r"\b(?:in|on|of|from|off|to|for|about|take|use|with)?\s*the (?:one|version|picture|pic|image|drawing|clip|video) (?:with|of|in|at|on|where|that|from|before|without|which)\b([^,.;:]*)"
    rf"|\bthe ([\w' -]{{2,40}}?) (?:one|version|{_PICTURE})\b"
)
_WITHOUT = re.compile(r"\b(?:without|before|no|minus|w/o|wasn't|not)\b([^,.;]*)")


def picture_with(text: str, state: State, *, anywhere: bool = False) -> int | None:
    """Return the newest picture that has what a text names and the shown one hasn't, or the other way round.

    anywhere: all of the text names it, not only "the one with …".
    """
    phrases = [text] if anywhere else [a or b for a, b in _NAMED.findall(text)]
    known, here = believed(state), shown(state)
    if here is None:
        return None
    for phrase in phrases:
        lost = things_in(" ".join(_WITHOUT.findall(phrase if anywhere else text)))
        asked = things_in(phrase) - lost
        best, chosen = 0.0, None
        for one in reversed(state.pictures):
            if one.number == here.number:
                continue
            has, shows = known[one.number], known[here.number]
            score = (
                2.0 * len(asked & has - shows)
                + 0.5 * len(asked & has & shows)
                - 1.0 * len(asked & shows - has)
            )
            score += 2.0 * len(lost & shows - has) - 2.0 * len(lost & has)
            if score > best + 0.01:
                best, chosen = score, one.number
        if chosen is not None and best >= 1.5:
            return chosen
    return None


def back_to(text: str, state: State) -> tuple[int | None, int]:
    """Return the picture that a text goes back to and the steps: -1 undo, 1 redo, 0 that picture."""
    names = cues(text)
    if "redo" in names and state.redo is not None:
        return state.redo, 1
    if re.search(r"\b(?:two|2|twice)\b", text) and re.search(r"\b(?:steps?|undo|back|changes)\b", text):
        first = state.picture(state.undo) if state.undo is not None else None
        if first is not None and first.before is not None:
            return first.before, -2
    if (number := numbered_picture(text, state)) is not None:
        return number, 0
    if "still" in names:
        one = shown(state)
        while one is not None and one.kind == "video" and one.before is not None:
            one = state.picture(one.before)
        if one is not None and one.number != state.shown:
            return one.number, 0
    if "undo" not in names and (number := picture_with(text, state, anywhere=True)) is not None:
        return number, 0
    if state.undo is not None:
        return state.undo, -1
    return None, -1


_CUT = re.compile(r"\s*(?:[;.]|,?\s+(?:and then|and|then|n|plus|\+|&)\s+|,)\s*")
_COURTESY = re.compile(
    r"^(?:\W*\b(?:ok|okay|now|so|well|please|pls|and|then|also|hm+|um|oh|yes|no|can you|could you|would you|will you|i want you to|i'd like you to|let's)\b[ ,]*)+"
)
_VERB = re.compile(
    r"\b(?:make|change|turn|replace|swap|switch|add|remove|put|give|paint|colou?r|take|drop|lose|delete|erase|let|move|place|set|hang|draw|get|should|needs?|become)\b"
)


def cut_changes(said: str) -> tuple[str, ...]:
    """Cut a sentence into its changes, in the person's own words; one that can't be cut is one change."""
    text = " ".join(said.split())
    parts = [part.strip(" ,.;!") for part in _CUT.split(text)]
    if 2 <= len(parts) <= MAX_CHANGES and all(
        _VERB.search(part.lower()) and len(part.split()) >= 2 for part in parts
    ):
        return tuple(parts)
    return (text.strip(" ,;"),)


def sides_of(text: str) -> tuple[Side, ...]:
    """Return the sides at which more is to be seen."""
    found: list[Side] = []
    if (
        re.search(
            r"\b(?:all (?:around|round|sides)|every side|everywhere|both sides|all four|zoom\w* out|pull back|surround\w*)\b",
            text,
        )
        and "both" not in text
    ):
        return ("all",)
    if re.search(
        r"\bboth sides|left and right|either side|on the sides|wid(?:er|en)\b", text
    ) and not re.search(r"\b(?:left|right)\b(?! and right)", text.replace("left and right", "")):
        return ("left", "right")
    if re.search(r"\btop and bottom|above and below\b", text):
        return ("up", "down")
    for side, pattern in (
        ("left", r"\bleft\b"),
        ("right", r"\bright(?:wards?)?\b(?! now)"),
        ("up", r"\b(?:top|up|upwards?|above|sky|taller|overhead|higher)\b"),
        ("down", r"\b(?:bottom|down\w*|below|beneath|underneath|foot|ground|lower)\b"),
    ):
        if re.search(pattern, text):
            found.append(side)  # type: ignore[arg-type]
    return tuple(found) or ("all",)
