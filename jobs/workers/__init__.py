"""The local executor: worker processes, supervised."""
