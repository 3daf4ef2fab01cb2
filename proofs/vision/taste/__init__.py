"""Proofs about tastes: people that are simulated look at drawings of the demo's world."""
