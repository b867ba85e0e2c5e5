"""Draws a draw list with VTK. The only place, with the native window, that imports it."""
