"""Batches: many requests as one job, run in the background and kept until their results are read."""
