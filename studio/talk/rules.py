"""What a sentence says by patterns: cues for each kind, which picture, which sides, how it is cut.

Nothing here decides a kind alone: ``studio.talk.decide`` weighs the cues with what was learned. All patterns
read a ``plain`` text, which is short.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from core.talk import MAX_PICTURES, Kind, Picture, Side, State
from studio.talk.words import READ, WEAK, kind_of, plain, read_words, things_in

ORDINALS = {
    **dict.fromkeys(("1", "1st", "first", "one", "uno", "upper left", "top left", "left top", "a", "i"), 1),
    **dict.fromkeys(
        ("2", "2nd", "second", "two", "dos", "upper right", "top right", "right top", "b", "ii"), 2
    ),
    **dict.fromkeys(
        ("3", "3rd", "third", "three", "lower left", "bottom left", "left bottom", "c", "iii"), 3
    ),
    **dict.fromkeys(("4", "4th", "fourth", "four", "last", "lower right", "bottom right", "d", "iv"), 4),
}
_PLACE_OF_FOUR = re.compile(
    r"\b((?:top|upper|bottom|lower)[ -](?:left|right)|(?:left|right|down|up) (?:top|bottom|above|below"
    r"|up|down|left|right))(?:[ -]hand)?\b"
)
_NUMBER_OF_FOUR = re.compile(
    r"(?:\b(?:u|nr|no|num|number|numero|option|picture|pic|image|version|candidate)|#)[ .:]*#?"
    r" ?([1-4]|one|two|three|four|uno|dos)\b"
)
_ORDINAL_OF_FOUR = re.compile(
    r"\b(first|second|third|fourth|1st|2nd|3rd|4th|last)\b(?! (?:time|thing|of all|but))"
)
_CHOOSES = frozenset(
    "i we let's lets ok okay hm hmm oh ooh no yes go gotta be it it's its think say like love take took"
    " choose chose pick"
    " want use using keep with for on continue have i'll we'll i'd definitely probably maybe the and"
    " going gonna w finally"
    " please def my his her run stay".split()
)
_PICTURE = r"(?:picture|pic|image|img|version|drawing|render|result|frame|try|attempt|variant|variation)s?"
_OF_NUMBER = re.compile(
    rf"\b(?:{_PICTURE}|number|no\.|nr\.?|num|grid|#)\s*#?(\d+|one|two|three|four|five|six)\b"
    rf"|\b(first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th)\s+{_PICTURE}\b|#(\d+)\b"
)
_FIRST = re.compile(
    r"\b(?:very (?:first|beginning)|in the (?:start|beginning)"
    r"|from the (?:very )?start|earliest|all the way back"
    r"|before (?:i|we) started|original|initial|at the (?:start|beginning)|the beginning"
    r"|where we (?:started|began)"
    r"|(?:i|we) (?:started|began) with|(?:first|1st) (?:one|go|round|take|attempt|description|result|version"
    r"|picture|pic|try|attempt|lot|ones|set|batch|draft|state|form)"
    r"|the first(?= (?:again|please|pls|was|were|with|without|but|in|at|of|,)|[,.!]|$)|off the first"
    r"|from the first|how(?:'d| did)? it (?:start|look)|(?:very )?outset|start (?:one|position|picture"
    r"|state)|square one|starting point|og)\b"
)
NUMBERS = {
    w: n
    for n, ws in enumerate(
        ("one first 1st", "two second 2nd", "three third 3rd", "four fourth 4th", "five fifth 5th", "six"), 1
    )
    for w in ws.split()
}

CUES = {
    "undo": re.compile(
        r"\b(?:undo|revert|reverse (?:that|it|the last)|ctrl[ +-]?z|roll (?:it |that )?back|"
        r"take (?:that|it) back|step back|go back|back up|(?:one|two|a) steps? back(?:wards)?|unmake|"
        r"cancel that|scratch that|never ?mind)\b"
    ),
    "redo": re.compile(
        r"\b(?:redo|forward again|put (?:it|that) back|after all|changed my mind|bring (?:it|"
        r"that) back)\b"
    ),
    "back": re.compile(
        r"\b(?:back to|previous|prev|earlier|return to|restore|the one before|before (?:that|the|we|i|"
        r"all|it)|was (?:better|nicer|best|prettier|funnier|cleaner|cooler)|were (?:better|nicer)|"
        r"looked (?:better|cleaner|nicer)|prefer(?:red)?|original|old one|as it was|the way it was|"
        r"liked .* (?:more|better)|bring back|back please|back pls|fetch)\b"
    ),
    "again at end": re.compile(r"\bagain\b[ ,]*(?:please|pls|dear|now)?[.! ]*$"),
    "back at end": re.compile(r"\bback\b[ ,]*(?:please|pls|dear|now|again)?[.!? ]*$"),
    "still": re.compile(
        r"\b(?:still|stands still|not moving|without (?:the )?mov\w*|no movement|frozen|"
        r"not the (?:clip|video))\b"
    ),
    "video": re.compile(
        r"\b(?:animat\w*|gif|video|movie|film|clip|footage|timelapse|time-lapse|loop(?:ed|ing|able|"
        r"s)?|in motion|motion|moving|move|come (?:alive|to life)|to life|seconds?|secs?|fps|frames)\b"
    ),
    "upscale": re.compile(
        r"\b(?:up-?scale\w*|up-?res\w*|hi-?res|high-?res\w*|higher?[ -]res\w*|full[ -]res\w*|"
        r"resolution|4k|8k|2k|hd|uhd|1080p?|dpi|px|pixels|megapixels?|print(?:ed|ing|er|able|s)?|"
        r"poster|framed?|enlarge\w*|blow (?:it|this|that) up|[248] ?x|x ?[248]|"
        r"\d{3,5}(?: ?[x×] ?\d{3,5})|\d+ times (?:as|the)|double (?:the )?size|sharper|file|quality|"
        r"canvas print|a[0-5])\b"
    ),
    "cutout": re.compile(
        r"\b(?:cut ?-?outs?|cut (?:it |him |her |the \w+ )?out|die-?cut|transparen\w*|isolat\w*|(?:no|"
        r"without|w/o|remove|drop|kill|delete|lose|minus|erase|strip|rip|knock out)(?: the| any| its|"
        r" that)? (?:bg|background|backdrop|surroundings)|alpha|by itself|by himself|on (?:its|his|"
        r"her|their) own|alone|solo|nothing (?:behind|around|else)|sticker|png|see-through|"
        r"without (?:the )?rest|extract|lift(?:ed)? out|silhouette|clipped)\b"
    ),
    "only": re.compile(r"\b(?:just|only)\b"),
    "extend": re.compile(
        r"\b(?:zoom(?:ed)? (?:it )?out|pull (?:\w+ )?(?:back|out)|wid(?:er|en\w*)|broader|taller|"
        r"extend\w*|expand\w*|outpaint\w*|uncrop\w*|pan|margins?|more (?:space|room|air|"
        r"breathing room)|(?:see|show|have|reveal|want)(?: me| us)?(?: a (?:bit|little))? more of|"
        r"what(?:'s| is) (?:beyond|past|outside|next to|around)|surroundings|aspect|landscape format|"
        r"16[:x/ ]9|9[:x/ ]16|21:9|further back|step back|cropped|stretch (?:it|that)|"
        r"beyond the (?:edge|frame))\b"
    ),
    "side": re.compile(
        r"\b(?:left|right|top|bottom|above|below|sides?|around|edges?|up|down|upwards?|all round|"
        r"all around)\b"
    ),
    "again": re.compile(
        r"\b(?:re-?roll\w*|again|another (?:go|try|round|set|batch|take|one|four|grid|version|"
        r"attempt)|try again|once more|one more time|more (?:like|of|versions|variations|options|"
        r"ideas|tries|alternatives)|(?:other|different|new|more|further|fresh|next) (?:ones?|four|"
        r"versions?|variations?|options?|takes?|tries|batch|set|alternatives?|lot|ideas|designs|"
        r"routes|attempts)|others|alternatives?|variations?|none of these|four more|not (?:it|"
        r"feeling)|something similar)\b"
    ),
    "question": re.compile(r"\?\s*$"),
    "wh": re.compile(
        r"^(?:and |but |so |ok |okay |wait |hey |hmm |um |erm |hm |oh |,|\.)*(?:what|which|who|whose|"
        r"where|why|when|how|whats|wheres|hows|what's|where's|who's|how's|is|are|was|were|does|do|did|"
        r"has|have|am|isn't|aren't|doesn't|didn't)\b"
    ),
    "wish": re.compile(
        r"^(?:\w+[, ]+){0,3}(?:can|could|would|will|may|might|shall) (?:you|i|we|it|he|she|they|the|"
        r"that|this|there)\b"
    ),
    "tell": re.compile(
        r"\b(?:tell me|describe|explain|caption|read (?:it|that|the|me)|count|list|i wonder (?:what|"
        r"how|if|whether|why))\b"
    ),
    "find": re.compile(
        r"\b(?:find|search|look (?:up|for|out|through)|lookup|dig|pull up|hunt|locate|retrieve|browse|"
        r"my (?:\w+ ){0,3}(?:pics|pictures|drawings|images|ones)|where(?:'s| is| are|s| did) (?:my|"
        r"that|the|those|our)|archive|gallery|library|history|collection|saved|last (?:week|month|"
        r"year|night|time|summer|winter|autumn|spring|monday|tuesday|wednesday|thursday|friday|"
        r"saturday|sunday|december|october|christmas|easter)|yesterday|ages ago|(?:days|weeks|"
        r"months) ago|(?:did|have|had|haven't|didn't) (?:i|we|you) (?:ever|once|already|not|do|make|"
        r"made|draw|drawn)|ever|all my|all (?:the|our|of my)|everything i|once|somewhere|"
        r"other ones i)\b"
    ),
    "talk": re.compile(
        r"\b(?:thanks?|thank you|thx|ty|tysm|tyy+|cheers|hello|hi|hey|good (?:morning|evening|"
        r"afternoon|night|day|job|work)|bless you|you're (?:the best|great|a star)|nice|lovely|"
        r"perfect|awesome|great|love it|love this|wow|haha+|lol|lmao+|bye|goodnight)\b"
    ),
    "draw": re.compile(
        r"^\W*(?:(?:ok|okay|k|now|so|then|and|right|please|hi|hello|hey|yo|next|good|well|great|fine"
        r"|aight|alright|can|could|would|you|i|we|id|i'd|let's|want|need|like|to|also|a|have|for|thanks"
        r"|pls)\b[^\w']*)*"
        r"(?:draw|paint|sketch|imagine|generate|create|design|illustrate|render|picture)\b"
    ),
    "new": re.compile(
        r"\b(?:new (?:one|picture|pic|drawing|image|idea|piece|project|scene|request|thing|job)|"
        r"another (?:picture|drawing|image|piece|idea|thing)|something (?:else|different|new|"
        r"completely)|separate(?:ly)?|start (?:over|afresh|fresh|again|from scratch)|from scratch|"
        r"completely different|different (?:picture|subject|thing)|next (?:up|one|picture|piece|idea|"
        r"request|thing)?|fresh (?:picture|one|start)|forget (?:that|it|this|the)|enough (?:of|with)|"
        r"moving on|instead draw|companion|matching|unrelated|now for)\b"
    ),
    "flags": re.compile(
        r"(?:^|\s)--(?:ar|style|niji|v|s|chaos|seed|stylize|tile|q|video|weird)\b|/imagine\b"
    ),
    "command": re.compile(
        r"\b(?:delete|ban|admin|share|send|email|e-mail|mail|post (?:it|this|that)|publish|upload|"
        r"tweet|price|cost|costs|pay|paid|premium|buy|order|subscri\w+|refund|settings?|default|"
        r"password|account|log ?(?:in|out)|token|use (?:the|another|a different|v\d)|switch (?:to the|"
        r"model|models)|model|tokens|credits?|charge|invoice|discord|instagram|facebook|whatsapp|"
        r"telephone|phone|server|public|private|system|instructions|remember|wallpaper on|download|"
        r"export|save (?:it|this|that)|copyright|sell|language|mute|kick|privacy|everyone|copies)\b"
    ),
    "change": re.compile(
        r"\b(?:make|change|turn|replace|swap|switch|add|remove|put|instead|give|should|needs?|colou?r|"
        r"paint|get rid|take (?:away|out|off)|with|without|no more|rather|lose|drop|ditch|kill|become|"
        r"becomes|into|let the|bring|move|fewer|less|plus)\b"
    ),
    "compare": re.compile(
        r"\b(?!other|another|water|paper|under|over|after|never|ever|river|winter|summer|flower|tower|"
        r"corner|center|butter|letter|spider|tiger|computer|poster|sticker|whisker|her|monster|silver|"
        r"clover|amber|ginger|number|whether|together|rather|matter|wander|wonder|border|upper|"
        r"lower)\w{2,}(?:ier|er)\b|\b(?:more|less|fewer|too|bit|little|slightly)\b"
    ),
}


_FOREIGN = frozenset(
    "der die das ein eine einen einem einer und ist nicht mit auf im den dem mir ich du bitte kannst"
    " mach mache zeig wie was wo für von zum zur noch mehr ohne dann aber auch sehr soll hätte gern kein"
    " keine el la los las un una unos con por favor que está en del al más haz pon quiero mi tu sin le"
    " les une et dans avec sur pas je il elle plus fais mets s'il vous te du des est sont où combien o"
    " os um uma com no na mais faça quero meu sem não por para il lo gli di che per più fai metti sono"
    " het een van niet maar zijn voor w z nie jest proszę bez puedes quita dibuja dibújame pinta dessine"
    " enlève disegna togli desenhe coloca qual quantos cuántas combien wieviele viele nochmal zurück"
    " größer bild oben links rechts kleiner noche cielo fondo imagen encore image ça très otra vez".split()
) - frozenset("die no in on was also an as me plus image la for il lo o w z con van".split())


_VAGUE = frozenset(
    "a bit little much hmm hm um uh er make it be can could you still need needs more do something"
    " somehow please just idk the one i want better nicer different differently pop oomph improve"
    " improved fix special good cooler prettier thing other that stuff pls this not right bad too less"
    " some way no nope meh ok and now so yes".split()
)


def is_other_script(text: str) -> bool:
    """Return whether a text is in other letters than Latin ones."""
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(letter > "\u024f" for letter in letters) > len(letters)


def foreign_share(text: str) -> float:
    """Return how much of a ``plain`` text is in another language than English, as far as can be seen."""
    if is_other_script(text):
        return 1.0
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text)
    strange = sum(word in _FOREIGN or any(letter > "\x7f" for letter in word) for word in words)
    english = sum(word in WEAK or bool(kind_of(word)) for word in words if word not in _FOREIGN)
    return strange / (strange + english) if strange else 0.0


def cues(text: str) -> list[str]:
    """Return the names of the cues in a ``plain`` text."""
    found = [name for name, pattern in CUES.items() if pattern.search(text)]
    return [*found, "vague"] if set(re.findall(r"[a-z']+", text)) <= _VAGUE else found


_GONE = re.compile(
    r"\b(?:no|without|remove|delete|erase|lose|drop|ditch|kill|minus|scrap|get rid of|take (?:away|out|off)"
    r"|instead of|rather than|in place of|not)\s+((?:\w+[ -]?){1,3})"
    r"|\b(?:swap|replace|switch|exchange)\s+((?:\w+[ -]?){1,3}?)\s*\b(?:for|with|by|to|4)\b"
    r"|\b((?:\w+ ){1,2}?)(?:off|gone|away|out)(?=\s*(?:$|[,.;!]))"
)
WORDS = 120  # characters that are read of what made a picture
_REPLACED = ("colour", "scene", "style")  # of these a picture has one, which a later one takes the place of


@lru_cache(maxsize=4)  # asked several times for a sentence
def believed(state: State) -> dict[int, frozenset[str]]:
    """Return what each picture is believed to show: what its words and those before it name, less what they
    took away or put something else in the place of."""
    found: dict[int, frozenset[str]] = {}
    for one in state.pictures:
        has = set(found.get(one.before, ())) if one.before is not None else set()
        text = plain(one.words[:WORDS])
        if one.kind == "change":
            kinds = {word.kind for word in read_words(text)} & set(_REPLACED)
            has -= {thing for thing in has if kind_of(thing) in kinds}
        gone = things_in(" , ".join(" ".join(groups) for groups in _GONE.findall(text)))
        named = things_in(text)
        has = (has - gone) | (named - gone if one.kind == "change" else named)
        found[one.number] = frozenset(has | set(one.things))
    return found


def shown(state: State) -> Picture | None:
    """Return the picture that "it" means."""
    number = state.sent[0] if state.sent else state.shown
    return None if number is None else state.picture(number)


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
    text = " ".join(word.text for word in read_words(text.replace("#", "number ")))
    for pattern in (_NUMBER_OF_FOUR, _PLACE_OF_FOUR, _ORDINAL_OF_FOUR):
        if found := pattern.search(text):
            low = re.search(r"bottom|lower|below|down", found[1]) is not None
            return ORDINALS.get(found[1].replace("-", " ")) or 1 + 2 * low + ("right" in found[1])
    words = re.findall(r"[a-z']+|\d+", text)
    first = next((at for at, word in enumerate(words) if word not in _CHOOSES), len(words))
    if first == len(words) or words[first + 1 : first + 2] in (["more"], ["other"], ["others"], ["new"]):
        return None
    return ORDINALS.get(words[first]) or (
        ORDINALS.get(words[-1]) if len(words) < 5 and words[-1] != "one" else None
    )


def only_number(text: str) -> int | None:
    """Return the one number from 1 to 4 that a text has, as digit or word; None of none and of several."""
    numbers = r"(?<![\w.:-])(?:[1-4]|first|second|third|fourth|two|three|four)(?![\w.:-]*\w)"
    found = re.findall(numbers, text)
    return ORDINALS[found[0]] if len(found) == 1 else None


_ROW = r"(top|upper|high|above|up|first row|bottom|lowest|lower|low|below|under|down|second row)"
_COLUMN = r"(left|right)"
_BETWEEN = r"(?:[ ,-]+(?:hand|corner|row|one|on|in|at|the|to|side|of|it|is)){0,4}[ ,-]+"
_CORNER = re.compile(rf"\b{_ROW}\b{_BETWEEN}{_COLUMN}\b|\b{_COLUMN}\b{_BETWEEN}{_ROW}\b")
_NEXT = re.compile(r"\bone after (?:the )?(first|second|third)\b|\bright of the (first|third)\b")


def corner_of_four(text: str) -> int | None:
    """Return which of four a text means by where it stands, in more words than two, None where it says
    nothing of that."""
    text = " ".join(word.text for word in read_words(text))
    if found := _NEXT.search(text):
        return 1 + ORDINALS[found[1] or found[2]]
    if found := _CORNER.search(text):
        row, column = found[1] or found[4], found[2] or found[3]
        low = row in ("bottom", "lowest", "lower", "low", "below", "under", "down", "second row")
        return 1 + 2 * low + (column == "right")
    return None


_NAMED = re.compile(
    r"\bthe (?:one|version|picture|pic|image|drawing|clip|video) (?:with|of|in|at|on|where|that|from"
    r"|which)\b([^,.;:]*)"
    rf"|\b(?:the|in|on|of|from|to|that)\s+([\w' -]{{2,40}}?)\s+(?:one|ones|version|{_PICTURE})\b"
    rf"|^([\w' -]{{2,25}}?) (?:one|version|{_PICTURE})\s*[:,]"
)
_WITHOUT = re.compile(r"\b(?:without|no|minus|w/o|wasn't|not)\b([^,.;]*)")
_BEFORE = re.compile(
    r"\bbefore (?:the|that|we|i|you|it|he|she|my|our|adding|any|all)\b(?: (?:added|put|made|got|came|did"
    r"|had))?([^,.;:]*)"
)
_STILL = re.compile(
    r"\b(?:(?:doesn't|don't|does not|do not|isn't|ain't|not|no longer|without that it)"
    r" (?:the one (?:which|that) )?(?:mov|jump|wiggl|danc|spin|swim|fl[yi]|turn|anim|sway|run)\w*"
    r"|before it (?:was |started )?mov\w*"
    r"|still|stands still|not moving|motionless|without (?:the |any )?(?:mov\w*|anim\w*|motion"
    r"|wiggl\w*)|no movement"
    r"|fr(?:ee|o)ze\w*|not the (?:clip|video)|before the (?:clip|video|anim\w*|danc\w*)|(?:was"
    r"|were)n't moving"
    r"|stop (?:it |the )?mov\w*|just the picture|the picture again)\b"
)
_TWICE = re.compile(
    r"\b(?:(?:these|those|last) two|both (?:of (?:them|those)|changes|things)"
    r"|(?:two|2) (?:steps?|changes|times)|back (?:two|twice)|undo (?:the last )?(?:two|twice|both)"
    r"|twice)\b"
)
_REDO = re.compile(
    r"\b(?:redo|forward again|forward|put (?:it|that|them|him|her) (?:back|on)|after all|changed (?:my"
    r"|her|his) mind"
    r"|bring (?:it|that) back|again)\b"
)


_MADE = {
    "extend": re.compile(r"\b(?:wide\w*|zoom\w*|extend\w*)"),
    "video": re.compile(r"\b(?:clip|video|motion|moving|animat\w*)"),
    "cutout": re.compile(r"\bcut ?-?out"),
    "upscale": re.compile(r"\b(?:upscal\w*|enlarg\w*)"),
}


def picture_before(text: str, state: State) -> int | None:
    """Return the picture that the one was made from which first had what a text names: "before the mist"."""
    for phrase in _BEFORE.findall(text):
        kinds = {kind for kind, pattern in _MADE.items() if pattern.search(phrase)}
        for one in reversed(state.pictures):
            if one.before is not None and one.kind in kinds:
                return one.before
        named = things_in(phrase)
        for one in reversed(state.pictures):
            if one.before is not None and named & things_in(plain(one.words[:WORDS])):
                return one.before
    return None


_PICTURED = (
    r"(?:it|here|there|this|that|(?:the|this|that|my) (?:picture|pic|image|img|photo|drawing|video|gif))"
)
_WHOLE: dict[Kind, re.Pattern[str]] = {
    "ask": re.compile(  # what is to be seen, in words that mean nothing else
        r"(?:(?:and|so|ok|hey|wait|please|tell me),? )*(?:(?:what|who|which one)(?: is|'s|s| are| was) "
        rf"(?:these|those|(?:(?:going on|shown|happening|visible) )?(?:(?:in|on) )?{_PICTURED})"
        rf"|what (?:do|can) you see(?: (?:in|on) {_PICTURED})?|what am i looking at"
        r"|(?:is|are) there (?:an?|any|some) (?!.*\b(?:ways?|options?|chance|settings?|commands?|versions?"
        r"|buttons?|limits?|others?)\b)[\w' -]{2,40}(?=\?)"
        rf"|how many [\w' -]{{2,30}} (?:are there|(?:do|can) you see|are (?:in|on) {_PICTURED}))[ ?!.]*"
    ),
    "change": re.compile(  # another time of the day
        r"(?:and )?now at (?:night|dusk|dawn|sunset|sunrise|noon|midnight)"
        r"(?:,? (?:and )?with [\w' -]{2,40})?[.! ]*"
    ),
    "cutout": re.compile(  # without its ground
        r"(?:(?:and|now|then|ok|please|can you|could you|i want you to),? )*(?:remove|delete|erase|drop|lose"
        r"|strip|cut out|get rid of|take (?:away|out|off))(?: all)?(?: of)? (?:the |its |that |this )?"
        r"(?:whole )?(?:background|bg|backdrop)(?:,? (?:away|please|now|from it|too))*[.!? ]*"
    ),
}


def kind_of_whole(text: str) -> Kind | None:
    """Return the kind of a text that as a whole means one thing about the picture that is shown."""
    return next((kind for kind, pattern in _WHOLE.items() if pattern.fullmatch(text)), None)


def is_redo(text: str, state: State) -> bool:
    """Whether a text is nothing but *redo*, where something was undone."""
    return (
        state.redo is not None
        and re.fullmatch(r"redo(?: it| that)?[ ,]*(?:please|pls)?[.!]*", text) is not None
    )


def still_before(text: str, state: State) -> int | None:
    """Return the picture that the shown video was made from, where a text asks for what doesn't move."""
    one = shown(state)
    if one is None or one.kind != "video" or not _STILL.search(text):
        return None
    while one is not None and one.kind == "video":
        one = None if one.before is None else state.picture(one.before)
    return one.number if one else None


def picture_with(phrase: str, state: State) -> int | None:
    """Return the newest picture that has what a phrase names and the shown one hasn't, or the other way
    round."""
    known, here = believed(state), shown(state)
    if here is None:
        return None
    lost = things_in(" , ".join(_WITHOUT.findall(phrase)))
    asked = things_in(phrase) - lost
    shows = known[here.number]
    best, chosen = 1.4, None
    for one in reversed(state.pictures):
        has = known[one.number]
        score = 2.0 * len(asked & has - shows) + 0.5 * len(asked & has & shows) - len(asked & shows - has)
        score += 2.0 * len(lost & shows - has) - 2.0 * len(lost & has)
        if one.number != here.number and score > best + 0.01:
            best, chosen = score, one.number
    return chosen


def named_picture(text: str, state: State) -> int | None:
    """Return the picture that a text names beside "it": by its number, or by what is in it."""
    mended = " ".join(word.text for word in read_words(text))
    return _named(text, state) or (_named(mended, state) if mended != text else None)


def _named(text: str, state: State) -> int | None:
    if (number := numbered_picture(text, state)) is not None:
        return number
    if (number := picture_before(text, state)) or (number := still_before(text, state)):
        return number
    for phrase in _NAMED.findall(text):
        if number := picture_with(phrase[0] or phrase[1] or phrase[2], state):
            return number
    return None


def back_to(text: str, state: State) -> tuple[int | None, int]:
    """Return the picture that a text goes back to and the steps: -1 undo, 1 redo, 0 that picture; no picture
    for a redo where nothing was undone."""
    if state.redo is None and re.fullmatch(r"(?:please )?redo(?: it| that)?(?: please)?", text):
        return None, 0
    if state.redo is not None and (state.undo is None or _REDO.search(text)):
        if state.undo is None or (picture_with(text, state) or state.redo) == state.redo:
            return state.redo, 1
    if _TWICE.search(text) and state.undo is not None:
        first = state.picture(state.undo)
        if first is not None and first.before is not None:
            return first.before, 0
    if (number := still_before(text, state)) is not None and picture_with(text, state) is None:
        return number, 0
    number = numbered_picture(text, state)
    if number is None and not re.search(r"\b(?:undo|one back|step back)\b", text):
        number = picture_before(text, state) or picture_with(text, state)
    if number is not None and number != state.shown:
        return number, 0
    return (state.undo, -1) if state.undo is not None else (state.redo, 1)


def sides_of(text: str) -> tuple[Side, ...]:
    """Return the sides at which more is to be seen."""
    found: list[Side] = []
    if (
        re.search(
            r"\b(?:all (?:around|round|sides)|every side|everywhere|both sides|all four|zoom\w* out"
            r"|pull back|surround\w*)\b",
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


def grid_of(state: State) -> Picture | None:
    """Return the grid that "the second" is of: the shown one, or the newest before it."""
    here = shown(state)
    if here is None:
        return None
    if state.sent:
        return here if here.count > 1 and len(state.sent) == 1 else None
    return next(
        (one for one in reversed(state.pictures) if one.number <= here.number and one.count > 1), None
    )


def is_open_grid(one: Picture) -> bool:
    """Whether several pictures are shown of which none was chosen."""
    return one.count > 1 and one.index is None


_TAKEN = re.compile(
    rf"\b(?:the|an?|that|his|her|my) [\w' -]+? (?:of|from|in) (?:{_PICTURE} |number |no\.? |#)?([1-9]\d?)\b"
)


def takes_from_another(text: str, state: State) -> bool:
    """Whether a text puts something of one picture into another."""
    here = shown(state)
    return here is not None and not state.sent and len(pictures_of(text, state, here)) > 1


def pictures_of(text: str, state: State, here: Picture) -> tuple[int, ...]:
    """Return the pictures that a text is about, the one that is worked on first: "the cat of 2 next to the
    house" is about what is shown and 2."""
    if len(state.sent) > 1:
        return state.sent[:MAX_PICTURES]
    if re.search(r"\b(?:put|place|add|set|insert|bring|take|copy|use|combine|merge|swap|give)\b", text):
        known = {one.number for one in state.pictures}
        named = [number for found in _TAKEN.findall(text) if (number := int(found)) in known]
        if len(named) > 1:
            return tuple(dict.fromkeys((named[-1], *named)))[:MAX_PICTURES]
        if named and named[0] != here.number and _BESIDE.search(text):
            return here.number, named[0]
    return (named_picture(text, state) or here.number,)


_JOINS = re.compile(
    r"\b(?:both|all|together|combin\w*|merg\w*|mix\w*|blend\w*|these|those|them|two|three|four|each|other|second"
    r"|pictures|images|photos|pics|from|next to|beside|behind)\b"
    r"|\b(?:put|place|add|insert|paste|set|bring|swap|replace|use|give|wear\w*|hold\w*)\b"
)


def joins(text: str) -> bool:
    """Whether a text can be about several pictures that came with it."""
    return _JOINS.search(text) is not None


_BESIDE = re.compile(
    r"\b(?:next to|beside|behind|before|above|below|under|over|near|on|onto|into|between|instead|here"
    r"|to this|with|left"
    r"|right)\b"
)


def factor_of(text: str) -> Literal[2, 4]:
    """Return how many times as wide a text wants a picture."""
    largest = re.search(
        r"\b(?:4 ?x|x ?4|[48]k|uhd|four times|times four|quadruple|400 ?%|max\w*|poster|huge|biggest"
        r"|as (?:big|large)"
        r" as|billboard|a[012]|full size|supersize|enormous|giant|massive|\d{4,5} ?(?:px|pixels|x))",
        text,
    )
    return 4 if largest else 2


def motion_of(text: str) -> Literal["low", "high"]:
    """Return how much a text wants to move."""
    lively = re.search(
        r"\b(?:fast\w*|quick\w*|wild\w*|crazy|explo\w*|burst\w*|rac(?:e|es|ing)|danc\w+|jump\w*|leap\w*"
        r"|sprint\w*|crash\w*"
        r"|storm\w*|fight\w*|lots? of (?:motion|movement)|dramatic\w*|high motion|whoosh|zoom\w*|run(?:s"
        r"|ning)?|gallop\w*)\b",
        text,
    )
    return (
        "high"
        if lively and not re.search(r"\b(?:slow\w*|gentl\w*|subtl\w*|soft\w*|a little)\b", text)
        else "low"
    )


_CLOSELY = (
    r"(?:--think|(?:and |please )?(?:look (?:very )?closely|think (?:hard\w*|carefully"
    r"|it through)|take your time"
    r"|be careful|double[ -]check|check (?:it )?carefully|pay attention|get it exactly right))"
)
_CLOSELY_EDGE = re.compile(rf"^\W*{_CLOSELY}\b[\s:,.;]*|[\s:,.;]*{_CLOSELY}\W*$", re.I)


@lru_cache(maxsize=4)  # asked for each meaning that is offered
def without_closely(said: str) -> tuple[str, bool]:
    """Return a sentence without what only asks to look closely, and whether it asks for that."""
    rest = _CLOSELY_EDGE.sub("", said)
    return (rest, True) if rest and rest != said else (said, bool(re.search(_CLOSELY, said, re.I)))


_CUT_THING = (
    re.compile(
        r"\b(?:only|just|cut(?:ting)?(?: out)?|isolate|extract|free|lift|snip|separate|crop|clip|take"
        r"|need|want|keep|have)"
        r"(?: out)? (?:the|that|this|my|his|her|our|a) ([a-z][\w'-]*(?: [a-z][\w'-]*)?)"
    ),
    re.compile(
        r"\b(?:cut-?out of|sticker of|png of|all but|everything but|except) (?:the|that|my"
        r"|just the)? ?([a-z][\w'-]*)"
    ),
    re.compile(
        r"^\W*(?:the |just |only )?([a-z][\w'-]*) (?:by itself|alone|solo|only|on its own|cut ?out"
        r"|without|w/o|no)\b"
    ),
)


def thing_of(text: str) -> str:
    """Return what is to be cut out, "" where a text doesn't name it."""
    for pattern in _CUT_THING:
        for found in pattern.finditer(text):
            words = [word for word in found[1].split() if word not in WEAK]
            for word in reversed(words):
                if kind_of(word) == "thing":
                    return word
            if words and not kind_of(words[0]) and words[0] not in ("background", "bg", "rest"):
                return words[0]
    return ""


_COMMANDS = (
    (
        "/privacy delete",
        r"\b(?:delete|erase|wipe|remove|forget|clear)\b.*\b(?:all|everything|account|data|history|me|my)\b",
    ),
    (
        "/privacy",
        r"\b(?:delete|wipe|privacy)\b|\b(?:erase|remove|clear)\b.*\b(?:picture|gallery|drawing|image)s?\b",
    ),
    (
        "/public",
        r"\b(?:share|publish|post|send|show) (?:it|this|that|them|these|the \w+)\b"
        r".*\b(?:everyone|everybody|all|public\w*|channel)\b"
        r"|\bmake (?:it|this|that|them) public\b",
    ),
    ("/stealth", r"\b(?:private|secret|hide (?:it|this) from|nobody (?:else )?(?:can|may) see)\b"),
    ("/moderation", r"\b(?:ban|mute|kick|block|report|admin|moderator|owner)\b"),
    ("/settings", r"\b(?:settings?|default|model|always use|from now on|dark mode|notifications?)\b"),
    ("/queue", r"\b(?:cancel|stop|pause|abort)\b.*\b(?:job|queue|render\w*|everything|all)\b"),
    ("/info", r"\b(?:cost|costs|price|pay|paid|credits?|tokens?|balance|subscri\w+|premium|plan|owe)\b"),
    ("/help", r"^\W*(?:help|what can (?:you|i) (?:do|say)\b.*|how does (?:this|it) work)\W*$"),
)
_COMMAND = tuple((command, re.compile(pattern)) for command, pattern in _COMMANDS)


def command_of(text: str) -> str:
    """Return the command that does what a text asks for, "" where none is known."""
    return next((command for command, pattern in _COMMAND if pattern.search(text)), "")


def is_bare_thing(text: str) -> bool:
    """Whether a text names a thing and nothing that is to be done with it."""
    words = [
        word for word in read_words(text) if word.text[0].isalnum() and word.text not in ("please", "pls")
    ]
    names = [
        word for word in words if word.text not in ("a", "an", "the", "and", "some", "now", "two", "three")
    ]
    if not 1 <= len(names) <= 3 or len(words) > 5:
        return False
    return names[-1].kind in ("thing", "part") and all(
        w.kind in ("colour", "size", "light", "thing", "") for w in names
    )


_DRAW = re.compile(
    r"^.{0,90}?\b(?:draw|paint|sketch|imagine|generate|create|design|illustrate|render|produce|make|do"
    r"|show|give|get)\b"
    r"(?:\s+(?:for\s+)?(?:me|us|my \w+))?(?:\s+(?:a|an|the|another|one more)\s+(?:new\s+)?(?:picture"
    r"|drawing|image|painting"
    r"|illustration|sketch)\s+(?:of|with))?\s+(?=\S+\s*\S)",
    re.I,
)
_WISH = re.compile(
    r"^\W*(?:(?:hi|hello|hey|ok(?:ay)?|now|so|well|and|then|next|thanks|great|please|yo|k"
    r"|good (?:morning|evening|day))\b\W*)*"
    r"(?:(?:i(?:'d| would)? (?:want|need|like|love)(?: to (?:see|have))?|can i (?:have|get)|could i have"
    r"|how about|let's see"
    r"|as (?:the )?next picture|next(?: up| one)?|new (?:one|picture|pic)|another picture|something else"
    r"|fresh start"
    r"|start over with|a (?:picture|drawing|image|painting) of|/imagine)\b[\s:,.]*)?",
    re.I,
)
_END = re.compile(
    r"[\s,]*\b(?:please|pls|plz|if you (?:please|would|can)|would you|thanks|thank you)\W*$|[\s.!?,]+$", re.I
)


def drawn_words(said: str) -> str:
    """Return what is to be drawn, without what only asks for it."""
    found = _DRAW.match(said)
    if found and not re.match(r"(?:it|that|this|them)\b", said[found.end() :], re.I):
        words = said[found.end() :]
    else:
        words = said[_WISH.match(said).end() :]  # type: ignore[union-attr]
    words = _END.sub("", words).strip()
    return words if len(words) > 1 else said


_SOUGHT = re.compile(
    r"\b(?:of|with|named|called|about|showing|find|search(?: for)?|look(?:ing)? (?:for|up)|lookup"
    r"|where(?:'s| is| are|s)|pull up"
    r"|dig (?:out|up)|show me|show|list|fetch|locate|retrieve|any|all)\s+(?!(?:me|it|them|for)\b)([^.?!]+)",
    re.I,
)
_BEFORE_SOUGHT = re.compile(
    r"^(?:(?:all|of|the|my|our|me|any|old|older|other|earlier|previous|every|that|those|ones?|pictures?"
    r"|pics?|images?"
    r"|drawings?|paintings?|photos?|for|an?|with|have|showing)\s+)+",
    re.I,
)
_AFTER_SOUGHT = re.compile(
    r"\s+(?:(?:that |which )?(?:i|we|you) (?:made|did|drew|had|have|painted|generated|asked)|(?:from "
    r"|in |at |since )?"
    r"(?:last|this|yesterday|(?:a|some) (?:week|month|year|day)s?|weeks|months|january|february|march"
    r"|april|may|june|july"
    r"|august|september|october|november|december|spring|summer|autumn|winter|christmas|easter)|a while"
    r"|ages ago|once"
    r"|before|earlier)\b.*$",
    re.I,
)


def sought_words(said: str) -> str:
    """Return what is looked for among pictures, or the whole sentence where that can't be told."""
    found = _SOUGHT.search(said)
    words = _AFTER_SOUGHT.sub("", found[1] if found else said)
    words = _BEFORE_SOUGHT.sub("", _END.sub("", words).strip(" ,.?!"))
    return words if len(words) > 2 else said


_ONLY_MOVE = frozenset(
    "please pls now can could you and ok then let's make have turn bring do as a an me into to of it"
    " this that the one"
    " picture whole thing short little animate animated animation anim video gif clip movie film move"
    " moving mov life"
    " motion come alive with some movement in version plz image gimme give want i we create"
    " generate get".split()
)


def moving_words(said: str) -> str:
    """Return what a video shows, "" where a text only asks for one."""
    return "" if set(re.findall(r"[\w']+", plain(said))) <= _ONLY_MOVE else said


_STEP = re.compile(
    r"[,;.]?\s*\b(?:and\s+)?(?:then|after that|afterwards)\b[,\s]*|[,;]?\s+and\s+(?=(?:animate|upscale"
    r"|film|enlarge"
    r"|cut (?:it|the \w+) out|make it move|zoom out|turn it into a (?:video|gif|clip))\b)",
    re.I,
)


def steps_of(said: str) -> list[str]:
    """Return the parts of a sentence that asks for several things in order."""
    parts = [part.strip(" ,.;") for part in _STEP.split(said[:READ])]
    return [part for part in parts if part] if len(said) <= READ else [said]
