"""What pictures and films say of themselves when they leave."""
