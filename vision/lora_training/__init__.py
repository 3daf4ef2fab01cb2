"""A style of a member's own, from 5 to 40 pictures: a LoRA that is trained on the model that draws, a step at
a time between the steps of others' drawings.

A library without a queue, rows or rights: who calls it hands in pictures and keeps the file that comes out.
The method is that of diffusers' own examples, see docs/train.md. Importing the package loads no torch.
"""
