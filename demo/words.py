"""The words of the drawn world: names and their synonyms, and what people write around them."""

OBJECT_WORDS = {
    "ball": ("ball", "ball", "ball", "sphere", "circle", "orb", "balloon"),
    "star": ("star", "star", "star", "starlet"),
    "heart": ("heart", "heart", "heart", "love heart"),
    "moon": ("moon", "moon", "moon", "crescent", "crescent moon", "half moon"),
    "diamond": ("diamond", "diamond", "gem", "jewel", "crystal", "gemstone"),
    "house": ("house", "house", "house", "home", "cottage", "cabin", "hut", "building"),
    "tree": ("tree", "tree", "tree", "pine", "fir", "pine tree", "fir tree", "christmas tree"),
    "boat": ("boat", "boat", "boat", "ship", "sailboat", "yacht", "sailing boat", "sailing ship"),
    "flower": ("flower", "flower", "flower", "blossom", "bloom", "daisy", "rose"),
    "cat": ("cat", "cat", "cat", "kitten", "kitty", "cat face"),
    "fish": ("fish", "fish", "fish", "goldfish"),
    "mushroom": ("mushroom", "mushroom", "mushroom", "toadstool", "fungus"),
}
COLOUR_WORDS = {
    "red": ("red", "red", "red", "crimson", "scarlet", "bright red", "dark red", "ruby"),
    "orange": ("orange", "orange", "orange", "bright orange", "amber"),
    "yellow": ("yellow", "yellow", "yellow", "golden", "gold", "bright yellow"),
    "green": ("green", "green", "green", "emerald", "dark green", "bright green", "light green"),
    "blue": ("blue", "blue", "blue", "navy", "azure", "light blue", "dark blue", "bright blue"),
    "purple": ("purple", "purple", "purple", "violet", "lilac"),
    "pink": ("pink", "pink", "pink", "rosy", "magenta", "light pink", "hot pink"),
    "white": ("white", "white", "white", "ivory", "snow white", "pure white"),
    "black": ("black", "black", "black", "jet black", "ebony"),
    "brown": ("brown", "brown", "brown", "chestnut", "chocolate", "dark brown"),
}
COUNT_WORDS = {
    1: ("a", "a", "a", "a", "one", "the", ""),
    2: ("two", "two", "2", "a pair of"),
    3: ("three", "3"),
    4: ("four", "4"),
}
SIZE_WORDS = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("",),
    "large": ("large", "big", "huge", "giant"),
}
PLACE_WORDS = {  # the first is canonical
    "night": (
        "at night",
        "at night",
        "under the stars",
        "in the night sky",
        "in a starry night",
        "in the dark night",
        "night",
        "starry sky",
        "in space",
    ),
    "sky": (
        "in the sky",
        "in the sky",
        "in a cloudy sky",
        "among the clouds",
        "in the clouds",
        "in the air",
        "sky",
        "blue sky",
        "clouds",
    ),
    "sea": (
        "at sea",
        "at sea",
        "on the ocean",
        "on the water",
        "by the sea",
        "in the sea",
        "on the sea",
        "in the ocean",
        "sea",
        "ocean",
        "by the lake",
    ),
    "grass": (
        "on the grass",
        "on the grass",
        "in a meadow",
        "in a field",
        "on a green hill",
        "in the garden",
        "in the park",
        "grass",
        "meadow",
        "in the forest",
    ),
    "desert": (
        "in the desert",
        "in the desert",
        "on the sand",
        "on a beach",
        "on the beach",
        "in the dunes",
        "desert",
        "beach",
        "sand",
    ),
    "snow": (
        "in the snow",
        "in the snow",
        "in winter",
        "on a snowy field",
        "in snow",
        "snow",
        "winter",
        "snowy landscape",
        "on the ice",
    ),
    "sunset": (
        "at sunset",
        "at sunset",
        "at dawn",
        "in the evening",
        "at dusk",
        "sunset",
        "sunrise",
        "evening sky",
    ),
}
STYLE_WORDS = {
    "flat": ("", "", "", "", "cartoon", "flat illustration", "clip art", "sticker", "flat design"),
    "outline": ("line art", "outline drawing", "ink outline", "line drawing", "coloring book page", "sketch"),
    "pixel": ("pixel art", "pixelated", "8 bit pixel art", "8 bit", "retro game sprite"),
    "watercolor": ("watercolor", "watercolor painting", "painted in watercolor", "watercolour", "aquarelle"),
}
CANONICAL_STYLE = {"flat": "", "outline": ", line art", "pixel": ", pixel art", "watercolor": ", watercolor"}
CANONICAL_COUNT = {1: "a", 2: "two", 3: "three", 4: "four"}
RELATION_WORDS = {
    "above": ("above", "above", "over", "on top of"),
    "below": ("below", "under", "under", "beneath", "underneath"),
    "left": ("to the left of", "left of", "on the left of", "next to", "beside"),
    "right": ("to the right of", "right of", "on the right of", "next to", "beside"),
}
CANONICAL_RELATION = {
    "above": "above",
    "below": "below",
    "left": "to the left of",
    "right": "to the right of",
}
REVERSE = {"above": "below", "below": "above", "left": "right", "right": "left"}
POSITION_WORDS = {
    "any": ("",),
    "center": ("", "in the center", "in the middle", "centered"),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "in the upper part", "near the top"),
    "bottom": ("at the bottom", "in the lower part", "near the bottom"),
}
PREFIXES = (
    "a picture of",
    "an image of",
    "a drawing of",
    "an illustration of",
    "a photo of",
    "a painting of",
    "photo of",
    "picture of",
    "draw",
    "i want",
)
# Words that real prompts hold and the world does not know.
FILLER = (
    "beautiful detailed masterpiece 4k 8k hd uhd high quality best cinematic lighting majestic epic fantasy"
    " portrait with and sharp focus trending artstation realistic cute happy sad old new bright colorful"
    " magic light lovely nice style render 3d digital art ultra wide angle lens photo studio by artist rain"
    " storm minimalist modern vintage retro abstract surreal simple icon logo poster octane unreal engine hdr"
    " bokeh 35mm 50mm f1.8 dslr photograph photorealistic hyperrealistic dramatic soft shadows volumetric fog"
    " mist glowing neon award winning professional background centered composition intricate elegant smooth"
    " stunning gorgeous amazing shiny fluffy friendly smiling sleeping flying dancing funny wonderful"
    " mysterious dreamy very really please of the in style anime comic concept close up macro full body low"
    " poly isometric texture pattern depth field grain film kodak golden hour moody atmosphere vivid warm"
    " cold pastel"
).split()
PLURALS = {"fish": "fish", "goldfish": "goldfish", "daisy": "daisies", "kitty": "kitties", "fungus": "fungi"}
