"""What gives single things their form: pictures of what the generator should have drawn, and a LoRA of its
UNet that learned from them."""
