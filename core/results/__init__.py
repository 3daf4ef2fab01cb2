"""What capabilities find in pictures, as every door shows it: lines of text."""
