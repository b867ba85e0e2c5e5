"""Samples as a cloud of points."""
