"""The process: command line, opening and closing everything, signals, logs, metrics, doctor."""
