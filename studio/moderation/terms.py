"""The words of the rules that come with Atelier. A server adds its own; the rule about minors can't be
changed or turned off.

Terms are read by ``studio.moderation.lookalikes``: whole words, ``*`` for any letters. They are words people
use to ask for such pictures, in the languages that are most asked in; a list is never complete, so the
pictures are looked at too. What follows from which is in ``studio.moderation.rules``.
"""

from __future__ import annotations

import enum
import re

from studio.moderation.lookalikes import Reading, Terms, read


class Sense(enum.Enum):
    """What words can mean; people read the value."""

    FORBIDDEN = "words for a sexualised child"
    EXPLICIT = "sexual words"
    COARSE = "words with a sexual and an everyday sense"
    SUGGESTIVE = "suggestive words"
    MILD = "words that are suggestive beside others"
    GORE = "words of cruelty"
    MINOR = "a child"
    ADULTS = "adults"
    ART = "old art"
    CLOTHES = "clothes"
    GARMENTS = "garments"
    OWN = "words on the server's list"


def _terms(text: str) -> Terms:
    return Terms(" ".join(term.split()) for term in text.split(","))


EXPLICIT = _terms(
    """
    nude, nudes, nudity, nudist*, naked, topless, unclothed, nsfw, porn*, hentai, r18, sex, sexual*,
    sexting, threesome, gangbang, blowjob*, handjob*, fellatio, cunnilingus, masturbat*, orgasm*,
    ejaculat*, cumshot*, cumming, creampie, bukkake, fuck*, penis*, dick pic*, vagina*, vulva*, pussy,
    pussies, clitoris, labia, genital*, genitalia, testicle*, erect penis, erection, areola*, boob,
    boobs, titties, bare breast*, exposed breast*, anus, buttplug, dildo*, vibrator, bdsm, fetish*,
    incest*, rape, raped, raping, rapist, bestiality, zoophil*, futanari, ahegao, camgirl*, onlyfans,
    spread legs, spreading legs, legs spread, upskirt, cameltoe, striptease, stripper*, erotic*,
    erotica, lewd, nackt*, entblöß*, ficken, möse, titten, nackte, nackter, seins nus, baise, bite dure,
    desnud*, tetas, follando, nude look, голая, голый, голые, обнажён*, обнажен*, порно*, секс, сиськи,
    裸, 裸体, 色情, ヌード, エロ, セックス, เปลือย, 누드, 포르노, 야동
    """
)

# Refused as the ones above are, but whoever writes them may well mean something else
COARSE = _terms(
    """
    xxx, cock, cocks, tits, boobies, breasts, nipple*, pelad*, pelada, nudo, without clothes, without
    any clothes, without clothing, without her clothes, without his clothes, without their clothes, no
    clothes on, wearing no clothes, wearing nothing, wears nothing, clothes off, undress, undresses,
    undressing, disrob*, skinny dip*, birthday suit, ohne kleidung, ohne kleider, sans vêtements, sin
    ropa, sem roupa, senza vestiti, без одежды, bottomless, undressed, intercourse, orgy, orgies, cum,
    anal, bondage, kinky, vögeln, nue, nues, nuda
    """
)

SUGGESTIVE = _terms(
    """
    sexy, seductive*, lingerie, panties, thong, thongs, g string, underwear, bikini, bikinis, micro bikini,
    cleavage, busty, big breast*, huge breast*, large breast*, see through dress, see through shirt, see
    through top, see through clothes, see through clothing, see through blouse, sheer dress, wet t shirt,
    bedroom eyes, thicc, ecchi, horny, aroused, arousal, playboy, stockings and garter*, dominatrix, latex
    suit, milf, waifu body, kissing passionately, lustful*, lusting, skimpy, scantily, risque, revealing
    dress, revealing outfit*, revealing clothes, revealing clothing, naughty school*, naughty teen*, sensual
    teen*, sensual girl*, sensual young*, sensual little*, sensual school*, provocative teen*, provocative
    girl*, provocative young*, provocative little*, provocative school*, provocative pose*, sensual pose*
    """
)

# Everyday words: two of them, or one beside others, are suggestive
MILD = _terms(
    """
    sensual*, provocative*, naughty, revealing, in heat, lust, lusts, lusty, see through, pinup, pin up,
    unbuttoned
    """
)

# To be left out of a picture (``--no``, a weight below 0) they undress whoever is in it
CLOTHES = _terms(
    """
    clothes, clothing, clothed, garment*, dressed, underwear, undergarment*, bra, bras, panties, lingerie,
    bikini*, swimsuit*, swimwear, censor, censors, censored, censoring, censorship, censor bar*, sfw, safe
    for work, kleidung, kleider, bekleidet, vêtement, vêtements, habillée, ropa, roupa, roupas, vestiti,
    одежда, одежды, одежду, 衣服, 下着, 内衣, 水着
    """
)
GARMENTS = _terms(
    """
    shirt, shirts, t shirt*, tshirt*, dress, dresses, skirt*, pants, trousers, shorts, jeans, blouse*, robe,
    robes, uniform*, diaper*, nappy, nappies, towel*, swim trunks, trunks, leggings, tights, stockings,
    pajama*, pyjama*, hose, hosen, hemd, jupe, chemise, pantalon*, camisa, falda, vestido*, maglietta,
    gonna, юбка, платье, рубашка, スカート, シャツ, 裙子, 衬衫, 裤子
    """
)
ADULTS = _terms(
    "adult, adults, grown up*, grownup*, erwachsene*, adulte, adultes, adulto*, взрослые, 大人, 成人"
)

GORE = _terms(
    """
    gore, gory, guro, dismember*, decapitat*, beheading, beheaded, disembowel*, eviscerat*, entrails,
    intestines hanging, mutilat*, torture*, tortured, snuff, necrophil*, corpse abuse, flayed, self harm,
    slit wrists, suicide, hanging body
    """
)

# What alone stands for a sexualised minor
FORBIDDEN = _terms(
    """
    loli, lolis, lolicon*, shota, shotas, shotacon*, toddlercon, child porn*, childporn*, kiddie porn*, kid
    porn*, teen porn*, preteen porn*, pedo, pedos, pedophil*, paedophil*, pedoporn*, jailbait, underage
    sex*, underage nud*, csam, nymphet*, ロリ, ロリコン, ショタ, ショタコン, 萝莉, 正太, 幼女,
    лоли, детское порно, kinderporno*, nackt* kind, pédoporn*, pornografía infantil
    """
)

MINOR = _terms(
    """
    child, children, childlike, child like, kid, kids, kiddo, toddler*, infant, infants, infantil*, baby
    girl*, baby boy*, babies, little girl*, little boy*, young girl*, young boy*, small girl*, small
    boy*, tiny girl*, school girl*, school boy*, schoolgirl*, schoolboy*, schoolchild*, schoolkid*,
    preteen*, pre teen*, tween, tweens, teen, teens, teenage*, adolescent*, underage*, under age, a
    minor, minors, juvenile*, kindergarten*, kindergart*, preschool*, middle school*, elementary
    school*, primary school*, junior high, high schooler*, grade schooler*, first grader*, second
    grader*, third grader*, fourth grader*, fifth grader*, sixth grader*, seventh grader*, eighth
    grader*, prepubescent*, pubescent*, barely legal, girl scout*, boy scout*, cub scout*, daughter, my
    son, newborn*, ein kind, das kind, kleines kind, kinder, mädchen, kleiner junge, kleines mädchen,
    minderjährig*, jugendliche*, enfant, enfants, fillette*, petite fille, petit garçon, mineure*, niña,
    niñas, niño, niños, menor de edad, criança*, menina, menino, bambina, bambino, bambini, девочка,
    девочки, девочку, мальчик, мальчики, мальчика, ребёнок, ребенок, дети, школьниц*, несовершеннолетн*,
    малолетк*,
    小女孩, 小男孩, 女童, 男童, 未成年, 儿童, 小孩, 孩子, 小学生,
    中学生, 初中生, 少女, 少年, 女子高生, 女子高校生, 女子中学生, 子供, 어린이, 소녀, 미성년
    """
)

ART = _terms("putti, putto, amorini, cherub, cherubs, cherubim, cupid, cupids, renaissance, baroque, rococo")

_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen"
).split()
_AGE = r"(?:1[0-7]|0?[1-9]|" + "|".join(_NUMBERS) + ")"
_AGES = re.compile(
    rf"(?<![\w.])(?:{_AGE}\W{{0,3}}(?:(?:years?|yrs?|y)\W{{0,3}}(?:olds?|o)|yo|yr old|anos|años|ans"
    r"|jahre\W{1,2}alt\w*|jährig\w*|jahrig\w*|лет(?:н\w*)?|岁|歳|살)"
    r"|(?:1st|2nd|3rd|[4-9]th|1[0-2]th)\W{1,2}grade(?:rs?)?"
    rf"|age[ds]?\W{{0,3}}(?:of\W)?{_AGE}(?!\d)|{_AGE}\W{{0,3}}months?\W{{0,3}}old)(?!\w)"
)


# Where such words mean something else, and are not read
EVERYDAY = re.compile(
    r"""\b(?:
    naked[ -]eyes? | naked[ -]mole[ -]rats? | naked[ ](?:flame|cake|tree|branch|rock)(?:e?s)?
    | naked[ ](?:light[ ]?)?bulbs? | naked[ ]truth | nude[ -]colou?r(?:ed)? | nude[ ](?:painted[ ])?nails
    | nude[ ](?:lipstick|nail[ ]polish|heels|pumps|tights) | topless[ ]bus(?:es)?
    | (?:chicken|turkey|duck)[ ]breasts | robins?[ ]red[ ]breasts
    | (?:great|blue|coal|marsh|willow|crested|long[ -]tailed|bearded)[ ]tits\b[^.,]{0,30}\b
      (?:bird[ ]?feeders?|feeders?|nests?|birdbaths?|bird[ ]?house|branch(?:es)?|seeds|fat[ ]balls?)
    | blue[ -]footed[ ]boobies
    | cocks?[ ](?:crow|crows|crowing|crowed|pheasant|robin|a[ ]doodle)
    | cocks?[ ]and[ ]hens? | hens?[ ]and[ ]cocks?
    | weather[ ]cocks?
    | (?:summa[ ]|magna[ ])?cum[ ]laude | food[ ]porn
    | \w+[ -]cum[ -](?:study|office|dining|living|play|store|guest|library|bath|work|kitchen|drawing)
    | bottomless[ ](?:pit|well|lake|abyss|chasm|ocean|sea|coffee|brunch)s? | anal[ ]fins?
    | bondage[ ](?:in|of|under)[ ](?:Egypt|Babylon|Pharaoh) | Intercourse,?[ ](?:Pennsylvania|PA)
    | social[ ]intercourse | orgy[ ]of[ ]colou?rs? | undressed[ ](?:stones?|timber|salad)
    | kinky[ -](?:curly|coily|hair|twists?|curls?|straight|afro|locs|braids)
    | (?:bottle|silicone|rubber)[ ]nipples?
    | (?:oilseed[ ]|oil[ ]?seed[ ])?rape[ ](?:fields?|seeds?|blossoms?|flowers?|oil) | oilseed[ ]rape
    | erection[ ]of[ ](?:the|a)[ ]
      (?:barn|tent|tower|bridge|scaffold\w*|church|monument|statue|wall|fence|building)
    | sex(?:ual)?[ ](?:education|ed|health|orientation|selection|dimorphism|determination|ratios?)
    | sex[ ]chromosomes? | the[ ]sex[ ]of[ ](?:the|a|your|our)[ ](?:baby|chick|kitten|puppy|foal|calf)
    | sex[ ](?:barn|katter|hundar|hästar|fåglar|båtar|hus|ägg|träd|blommor|stolar|månader|år)
    | Shota[ ]Rustaveli
    | (?:same|opposite)[ -]sex | sex[ ]pistols | pussy[ -](?:cat|willow)s? | (?:paint|wire)[ ]strippers?
    | horny[ ](?:toad|lizard|goat)s? | bikini[ ](?:atoll|bottom) | (?:thermal|long)[ ]underwear
    | g[ -]string[ ](?:of|on)[ ](?:a|the|his|her)[ ](?:violin|viola|cello|guitar|bass|ukulele)
    | (?:in|the)[ ][a-g](?:[ -](?:flat|sharp))?[ -]minor
    | a[ ]minor[ ](?:key|chord|scale|third|detail|point|issue|change|planet|road)
    | nacktschnecken? | nacktmulle? | (?-i:Vögeln)
    | (?:mit|von|den|bei|zwischen|unter|nach|aus|vielen|bunten|kleinen|singenden)[ ]vögeln
    | nackte[nrs]?[ ](?:Wahrheit|Tatsachen|Felsen?|Bäumen?|Baum|Ästen?|Wände?n?|Erde|Füßen?)
    | (?:branches?|roches?|terres?|pierres?|forêts?|collines?|montagnes?|ampoules?|mains?|têtes?)[ ]nues?
    | (?:dans|aux)[ ]les?[ ]nues | baise-mains?
    | (?:árbol|árboles|ramas?|pies?|rocas?|montañas?|verdad|rey|emperador)[ ]desnud[oa]s?
    | (?:un|el|los|unos)[ ]pedos? | (?:tía|abuela|prima|señora|doña)[ ]Loli
    | (?:patatas|papas|batatas|naranjas)[ ]peladas | jog(?:ando|ar|am|a)[ ](?:uma[ ])?pelada
    | a[ ]mani[ ]nude | (?:roccia|terra|parete)[ ]nuda
    | nudo[ ](?:marinero|de[ ]corbata)
    | голые[ ](?:деревья|ветки|ветви|стены|скалы) | голый[ ]король
    )\b
    | 裸足 | 裸眼 | 裸子植物 | 裸麦 | 裸電球 | 赤裸々 | 裸の王様 | 裸馬 | ロリポップ | ロリータファッション
    | ロリス | ヌードル | エロイカ | 正太(?=[阳陽空平多大原极極湖郎])""",
    re.VERBOSE | re.IGNORECASE,
)


LISTS = {
    Sense.FORBIDDEN: FORBIDDEN,
    Sense.EXPLICIT: EXPLICIT,
    Sense.COARSE: COARSE,
    Sense.SUGGESTIVE: SUGGESTIVE,
    Sense.MILD: MILD,
    Sense.GORE: GORE,
    Sense.MINOR: MINOR,
    Sense.ADULTS: ADULTS,
    Sense.ART: ART,
    Sense.CLOTHES: CLOTHES,
    Sense.GARMENTS: GARMENTS,
}


def reading(text: str) -> Reading:
    """Return a text as the lists are looked up in it, without what means something else."""
    return read(EVERYDAY.sub(" ", text))


def about_a_minor(reading: Reading) -> bool:
    """Return whether a text names somebody under 18, by word or by age."""
    return MINOR.found_in(reading) or bool(_AGES.search(reading.plain))


def found(sense: Sense, reading: Reading) -> frozenset[str]:
    """Return what of a list a text has; of minors, ages too."""
    ages = _AGES.findall(reading.plain) if sense is Sense.MINOR else ()
    return LISTS[sense].all_in(reading) | frozenset(ages)
