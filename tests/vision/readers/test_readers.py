"""The table of the readers."""

from importlib import import_module

from vision.loader import LOADERS


def test_every_reader_of_the_table_has_a_function_that_loads_it() -> None:
    for role, name in LOADERS.items():
        module, _, function = name.partition(":")
        assert callable(getattr(import_module(module), function)), role
