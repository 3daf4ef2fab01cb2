"""Chat servers that are asked to choose: three kinds, and what each may say instead of an answer."""

import asyncio

from tests.support.chat_server import Behave, Exchange, well

GOOD = '{"kind": "change"}'
ANSWERS: dict[str, tuple[str, str | None]] = {  # what a server says, and which kind that is, None = none
    "plain": (GOOD, "change"),
    "fenced": (f"```json\n{GOOD}\n```", "change"),
    "chatty": (f"Sure! Here it is: {GOOD} Anything else?", "change"),
    "thought before": (f'<think>maybe {{"kind": "draw"}}\n</think>\n{GOOD}', "change"),
    "with words of its own": ('{"kind": "change", "words": "a naked man"}', "change"),
    "thought without an end": (f"<think>the user wants {GOOD}", None),
    "two that disagree": (f'{GOOD}\n{{"kind": "draw"}}', None),
    "one that disagrees with itself": ('{"kind": "change", "kind": "draw"}', None),
    "a tool call as text": (
        '<tool_call>\n{"name": "change", "arguments": {"kind": "draw"}}</tool_call>',
        None,
    ),
    "single quotes": (GOOD.replace('"', "'"), None),
    "an unknown kind": ('{"kind": "delete_all"}', None),
    "a number": ('{"kind": 1}', None),
    "cut off": (GOOD[:-4], None),
    "empty": ("", None),
    "refusal": ("I can't help with that.", None),
    "says that it did it": ("Done! I made the house blue for you.", None),
}


async def _whole(exchange: Exchange, text: str) -> None:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    await exchange.whole(200, {"choices": [choice], "usage": {"prompt_tokens": 300, "completion_tokens": 9}})


def new(text: str) -> Behave:
    """Takes whatever it is told."""

    async def behave(exchange: Exchange) -> None:
        await _whole(exchange, text)

    return behave


def strict(text: str) -> Behave:
    """Takes only fields that OpenAI's interface has, and says which it doesn't know."""

    async def behave(exchange: Exchange) -> None:
        if "chat_template_kwargs" in exchange.body:
            await exchange.whole(400, {"error": {"message": "unknown field: chat_template_kwargs"}})
        else:
            await _whole(exchange, text)

    return behave


def old(text: str) -> Behave:
    """Knows no forms of answers, says nothing about that, and streams whatever it is asked."""

    async def behave(exchange: Exchange) -> None:
        if exchange.body.keys() & {"chat_template_kwargs", "reasoning_effort", "response_format"}:
            await exchange.whole(422, "what?", "text/plain")
        else:
            await well(exchange, text)

    return behave


KINDS_OF_SERVER = {"new": new, "strict": strict, "old": old}


async def _drips(exchange: Exchange) -> None:
    await exchange.head()
    for letter in "Let me think about it. " * 100:
        await exchange.piece(letter)
        await asyncio.sleep(0.1)


async def _refuses(exchange: Exchange) -> None:
    await exchange.whole(400, {"error": {"message": "no"}})


UNUSABLE: dict[str, Behave] = {"drips": _drips, "refuses everything": _refuses}
