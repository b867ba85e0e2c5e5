"""The strongest connections between layers."""
