"""Settings of the process itself and of the machines that it runs on."""
