"""Positions in the world: of blocks, nodes, edges, attention sheets, ridges and photographs."""
