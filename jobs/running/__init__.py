"""The jobs that are not over, taken to devices and brought to the rows."""
