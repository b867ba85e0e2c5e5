"""A matrix of model kinds: graph, activations, gradients and picture of each are compared with their definitions."""
