"""The connection to Discord: retries, addresses, attachments and interactions without an answer."""
