"""The schema of documents takes what the shared examples call valid, and nothing that they call invalid."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from studio.editor.document import Document

HERE = Path(__file__).parent
EXAMPLES = json.loads((HERE / "documents.json").read_text(encoding="utf-8"))
SCHEMA = msgspec.json.schema(Document)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def _named(examples: list[dict]) -> list:
    return [pytest.param(example, id=example["name"]) for example in examples]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("example", _named(EXAMPLES["valid"]))
def test_the_schema_takes_a_valid_document(example) -> None:
    VALIDATOR.validate(example["document"])


@pytest.mark.parametrize("example", _named(EXAMPLES["invalid"]))
def test_the_schema_refuses_what_a_schema_can_tell(example) -> None:
    """``schema`` is false where only a reader can tell, such as for deltas that lead out of all bounds."""
    assert VALIDATOR.is_valid(example["document"]) is not example["schema"]
