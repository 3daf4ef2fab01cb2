"""Remote workers over NATS: messages, both ends, files; nothing is imported without BUS_URL."""
