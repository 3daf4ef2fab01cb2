"""A style of a member's own, from 5 to 40 pictures: a LoRA that is trained on the model that draws, by the
method of diffusers' own examples (docs/explanation/own-models.md). Importing the package loads no torch."""
