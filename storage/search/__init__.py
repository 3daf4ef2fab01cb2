"""What pictures show, as vectors: the rows, the copies that a worker reads, and the questions about them."""
