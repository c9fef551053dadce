"""Evaluations: what alignment cost and whether it overdid it."""
