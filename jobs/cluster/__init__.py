"""Messages between programs of one studio, over a NATS server; nothing of it is imported without BUS_URL."""
