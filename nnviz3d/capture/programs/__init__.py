"""Flat programs of models: traced once, then run and differentiated."""
