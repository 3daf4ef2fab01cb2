"""What may be made and shown: terms, rules, the picture classifier and the moderator."""
