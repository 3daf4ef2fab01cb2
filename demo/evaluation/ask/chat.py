"""The chat model of a folder, asked as any other chat model is asked."""

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.training.ask.talks import Talk

LONGEST = 56  # tokens of an answer


class Chat:
    """The model of a folder, loaded as any other chat model."""

    def __init__(self, folder):
        self.processor = AutoProcessor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def answers(self, conversations: list[list[dict]]) -> list[str]:
        """The greedy answers to conversations that end with a question."""
        inputs = self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        out = self.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        texts = self.processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def last(self, some: list[Talk]) -> list[str]:
        """What it says to the last question of each talk, whose earlier answers are given as true."""
        conversations = [messages(talk, [turn.answer for turn in talk.turns[:-1]]) for talk in some]
        return self.answers(conversations)

    def walk(self, some: list[Talk]) -> list[str]:
        """What it says to the last question when all answers before are its own."""
        said: list[list[str]] = [[] for _ in some]
        for _ in range(max(len(talk.turns) for talk in some)):
            for own, text in zip(said, self.answers([*map(messages, some, said)]), strict=True):
                own.append(text)
        return [own[-1] for own in said]


def messages(talk: Talk, answers: list[str]) -> list[dict]:
    """The talk up to the first question that `answers` leave open, as the chat template takes it."""
    told = []
    for turn, answer in zip(talk.turns, [*answers, None], strict=False):
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": talk.pictures[part].image}
            for part in turn.parts
        ]
        told.append({"role": "user", "content": content})
        if answer is not None:
            told.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return told
