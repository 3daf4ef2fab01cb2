"""How a job's progress and result reach Discord."""
