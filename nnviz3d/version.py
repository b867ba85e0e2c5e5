"""The version of nnviz3d."""

__version__ = "0.1.0"
