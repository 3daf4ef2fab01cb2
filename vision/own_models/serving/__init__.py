"""Own models in a worker: what they see with, their slices beside other jobs, and what is kept of them in
memory. Importing the package loads no torch."""
