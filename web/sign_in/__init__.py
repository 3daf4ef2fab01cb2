"""Ways to sign in that lead over another site."""
