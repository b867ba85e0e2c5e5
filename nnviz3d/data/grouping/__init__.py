"""Groups of a large network's nodes: found by name and structure, and contracted to one node each."""
