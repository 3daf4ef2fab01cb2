"""How films are asked for: from words, pictures and other films to requests."""
