"""The process that holds the models of one device: its loop, its pipe, questions beside the jobs."""
