"""What the program tells of itself: how long things took, and where the time of a job went."""
