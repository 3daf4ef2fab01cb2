"""The chat model's tokenizer and processor, and conversations as the ids that its chat template gives."""

import random
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from demo.training.ask import talks
from demo.training.ask.model import TOKENS
from demo.training.ask.questions import NUMBERS, box_text
from demo.training.loop import MODELS, WORK
from demo.training.vision import SIZE
from demo.vocabulary import grammar_words
from demo.words import COLOUR_WORDS, OBJECT_WORDS
from demo.world import PLACES, STYLES

VOCABULARY = 1500
LENGTH = 2048
START, END, PAD, PICTURE = "<|im_start|>", "<end_of_utterance>", "<pad>", "<image>"
AROUND, WHOLE, FILM = "<fake_token_around_image>", "<global-img>", "<video>"
TILES = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
SPECIAL = [PAD, START, END, AROUND, PICTURE, WHOLE, FILM, *TILES]
# Words are tokens; digits and letters of words in capitals stand alone, so signs and numbers are spelled.
PATTERN = r""" ?[A-Z][a-z]+| ?[a-z]+|[A-Z]|\d| ?[^\sA-Za-z\d]|\s"""
BLOCK = AROUND + WHOLE + PICTURE * TOKENS + AROUND


MAKERS = (
    talks.scene_talk,
    talks.sign_talk,
    talks.chart_talk,
    talks.compare_talk,
    talks.motion_talk,
    talks.order_talk,
    talks.name_talk,
)


def _corpus(conversations: int):
    """Conversations, the drawn world's words, invented words and plain English."""
    rng = random.Random("ask tokens")
    source = talks.Facts(False)
    for _ in range(conversations):
        talk = rng.choice(MAKERS)(source, rng)
        for turn in talk.turns:
            question = " ".join(part for part in turn.parts if isinstance(part, str))
            yield f"User: {question}\nAssistant: {turn.answer}\nUser:{question}"
    tables = (OBJECT_WORDS, COLOUR_WORDS)
    words = [
        *NUMBERS,
        *PLACES,
        *STYLES,
        "yes",
        "no",
        *(word for table in tables for ws in table.values() for word in ws),
    ]
    yield " ".join([*grammar_words() * 20, *words * 400])
    yield " ".join(f" {a}{b}{c}{b}" for a in talks.CONSONANTS for b in talks.VOWELS for c in talks.CONSONANTS)
    yield " ".join(box_text(rng.choices(range(0, 1001, 50), k=4)) for _ in range(50))
    yield from (topics[key] for key in sorted(topics))


def build_tokenizer(folder: Path, conversations: int = 4000) -> PreTrainedTokenizerFast:
    """Trains the tokenizer on what the model is to read and say, and saves it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(conversations), trainer)
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False)])  # llama.cpp looks this one up
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=LENGTH,
        extra_special_tokens={
            "image_token": PICTURE,
            "fake_image_token": AROUND,
            "global_image_token": WHOLE,
            "end_of_utterance_token": END,
            "video_token": FILM,
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(folder)
    return fast


def keep_shipped():
    """Puts the shipped tokenizer where the stages look for theirs: shipped weights know its ids only."""
    if not (WORK / "ask-tokenizer").exists():
        PreTrainedTokenizerFast.from_pretrained(MODELS / "ask").save_pretrained(WORK / "ask-tokenizer")


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Returns the tokenizer, trained once."""
    folder = WORK / "ask-tokenizer"
    if not (folder / "tokenizer.json").exists():
        build_tokenizer(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def processor() -> SmolVLMProcessor:
    """Returns transformers' own processor with the sizes of the demo model."""
    sides = {"size": {"longest_edge": SIZE}, "max_image_size": {"longest_edge": SIZE}}
    pictures = SmolVLMImageProcessor(**sides, do_image_splitting=False, resample=1)
    films = SmolVLMVideoProcessor(**sides, do_sample_frames=True, num_frames=3, fps=1)
    return SmolVLMProcessor(
        pictures, tokenizer(), films, image_seq_len=TOKENS, chat_template=DEFAULT_CHAT_TEMPLATE
    )


class Encoder:
    """Turns conversations into ids, remembering the ids of every text that it met."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.tokenizer = tokenizer
        self.ids = cache(self._ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def talk(self, talk: talks.Talk) -> tuple[list[int], list[bool], list]:
        """The ids, which of them are learned answers, and the pictures in the order of their tokens. A
        picture that is a text is read as that text."""
        ids, learned, pictures = list(self.ids(START)), [False], []

        def add(text, learn=False):
            new = self.ids(text)
            ids.extend(new)
            learned.extend([learn] * len(new))

        for turn in talk.turns:
            text = "User:" if isinstance(turn.parts[0], int) else "User: "
            for part in turn.parts:
                if isinstance(part, str):
                    text += part
                    continue
                picture = talk.pictures[part]
                if isinstance(picture, str):
                    text += f" {picture}. "
                    continue
                add(text)
                add(BLOCK)
                pictures.append(picture)
                text = ""
            add(text)
            add(END)
            add("\nAssistant:")
            add(" " + turn.answer, turn.learned)
            add(END, turn.learned)
            add("\n")
        return ids, learned, pictures
