"""Numbers that views derive from a capture: weights between units, contributions, kernels, projected samples."""
