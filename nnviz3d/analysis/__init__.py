"""Computations on captured numbers, with NumPy arrays only: embeddings, statistics, alarms, attention rollout."""
