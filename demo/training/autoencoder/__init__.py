"""The autoencoder of the drawn world: first on drawings alone, then its decoder on what the image generator
makes of them."""
