"""Samples for a model: read, preprocessed and shaped for its inputs, and the names of its classes."""
