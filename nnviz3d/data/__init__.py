"""Frozen values that all other parts use: the graph, the records, the capture on disk, the capture request."""
