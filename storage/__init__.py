"""Rows and files: jobs, pictures, users, guilds, messages, audit; migrations."""
