"""Drawing of a draw list with VTK, off screen or in a window. Only this package imports VTK."""
