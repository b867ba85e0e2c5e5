"""Runs a model and keeps the numbers."""
