"""Readers of text in pictures: one whose networks come inside a package of PyPI, and another program for
other scripts. Importing the package loads no torch and no reader."""
