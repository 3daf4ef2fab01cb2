"""Agents on the nodes of a cluster: how many there should be, what starts and ends them, on Ray."""
