"""The prompt grammar: flags, sets in braces, quotes, and the parsed prompt."""
