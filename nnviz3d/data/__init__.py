"""Frozen values that every other part speaks in: the graph, the records, the capture on disk, the capture request."""
