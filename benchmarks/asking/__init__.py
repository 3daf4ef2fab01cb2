"""``python -m benchmarks.asking [ROW …]``: what it is worth that answers are written together, that their
caches are kept, and what they cost drawings beside them. Prints a line of docs/answers.md for each figure."""
