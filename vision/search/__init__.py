"""What pictures show, as vectors: made beside the jobs, compared at once. Importing the package loads no
torch."""
