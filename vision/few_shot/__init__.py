"""New tasks from a few examples: what a set of labelled pictures says of another picture.

``features`` are what CLIP sees of a picture, in three views; a ``head`` learns labels on them; ``by_chat``
shows the most similar examples to a chat model; a ``lesson`` holds what a job is handed out with. Importing
the package loads no torch.
"""
