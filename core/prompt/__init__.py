"""The prompt: its parameters, the values that they take, and the parser."""
