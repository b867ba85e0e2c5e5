"""The network as a node-link graph: balls for neurons, lines for weights."""
