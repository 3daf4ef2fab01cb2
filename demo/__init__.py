"""How the demo models are made: the drawn world, its captions, the training, the evaluation, and the
weights."""
