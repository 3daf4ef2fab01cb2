"""What people see in Discord: messages, buttons, windows and replies."""
