"""Models that talk about pictures: any ``AutoModelForImageTextToText`` with a chat template.

``prompt`` turns a ``conversation`` into what the ``model`` reads; the ``decoder`` writes the answers of
several people together, a token of each at a time, over joined ``caches``, which are kept for the next turn.
``generating`` writes with models that can't be joined, ``scoring`` compares given answers, and ``talking`` is
what a job calls. Importing the package loads no torch.
"""
