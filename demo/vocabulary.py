"""The two tokenizers: CLIP's byte-level BPE, in which every word of the grammar is one token and any other
text falls back to smaller pieces down to bytes, and the captioner's plain list of words.
"""

import json
import random
import re
import string
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer

from demo import captions, words
from demo.world import COLOURS, KINDS, OBJECTS, PLACES, STYLES, compose

LENGTH = 77  # tokens, as in Stable Diffusion
SIZE = 3000  # tokens at most
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""  # of CLIP
START, END = "<|startoftext|>", "<|endoftext|>"
DECODE = "[DEC]"  # begins a caption of BLIP's decoder


# little words of English that mean nothing to the drawn world and are no news to a reader
LITTLE = (
    "as be been can colour coloured color create could do for from generate has have her here his into its"
    " make me my no not off onto our out paint render shall should show so some than their them there these"
    " they this those us was we were what where which while will within without would you your"
).split()


def known_words() -> list[str]:
    """Return every word that the model knows or that needs no remark; the pack's settings name them."""
    return sorted({*grammar_words(), *LITTLE})


def grammar_words() -> list[str]:
    """Every word that a caption can hold, sorted, filler included."""
    rng = random.Random("vocabulary")
    found = set(words.FILLER)
    for table in (words.OBJECT_WORDS, words.COLOUR_WORDS, words.PLACE_WORDS, words.STYLE_WORDS):
        for phrase in (phrase for phrases in table.values() for phrase in phrases):
            found.update(phrase.split())
    for phrases in words.OBJECT_WORDS.values():
        found.update(word for phrase in phrases for word in captions.plural(phrase).split())
    for _ in range(20_000):
        scene = compose(rng, rng.choice(KINDS))
        found.update(captions.canonical(scene).replace(",", " ").split())
        found.update(word.text for word in captions.describe(scene, rng, noise=0).words)
    return sorted(found - {","})


def build_clip(folder: Path) -> CLIPTokenizer:
    """Trains the BPE on the grammar's words and on some plain English, and writes it in CLIP's two-file
    form."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix="", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    english = [topics[key] for key in sorted(topics)]
    corpus = english + [" ".join(grammar_words())] * 3000
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(alphabet) - 2,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    merges = [
        pair if isinstance(pair, list) else pair.split(" ")
        for pair in json.loads(tokenizer.to_str())["model"]["merges"]
    ]
    tokens = dict.fromkeys(
        alphabet + [letter + "</w>" for letter in alphabet] + [a + b for a, b in merges] + [START, END]
    )
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8"
    )
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def compact(folder: Path):
    """Writes every tokenizer under `folder` without blanks, and leaves out what its tokenizer.json says,
    too."""
    for path in folder.rglob("tokenizer.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            (path.parent / name).unlink(missing_ok=True)


def build_bert(folder: Path) -> BertTokenizer:
    """Whole words of the grammar without its filler; single characters for anything else."""
    characters = string.ascii_lowercase + string.digits
    pieces = (
        set(grammar_words()) - set(words.FILLER)
        | set(characters)
        | {"##" + c for c in characters}
        | set(".,!?-':")
    )
    pieces |= {"is", "this", "it", "there", "are", *OBJECTS, *COLOURS, *PLACES, *STYLES}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", DECODE, *sorted(pieces)]) + "\n")
    return BertTokenizer(str(path), bos_token=DECODE)


class Encoder:
    """Fast token ids for captions: every word is tokenized once. `tokenizer` is the CLIP one."""

    def __init__(self, tokenizer: CLIPTokenizer):
        self.tokenizer = tokenizer
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.word = cache(self._word)

    def _word(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def words(self, texts: list[str], length: int) -> tuple[list[int], list[int]]:
        """`length` ids, padded as the pipeline pads them, and the position of each word's last token (-1: cut
        off)."""
        ids, ends = [self.start], []
        for text in texts:
            ids.extend(self.word(text))
            ends.append(len(ids) - 1 if len(ids) < length else -1)
        ids = ids[: length - 1]
        return ids + [self.end] * (length - len(ids)), ends

    def text(self, text: str, length: int = LENGTH) -> list[int]:
        return self.words(re.findall(r"[^\s,]+|,", text), length)[0]
