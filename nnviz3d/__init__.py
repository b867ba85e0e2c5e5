"""See into a neural network: a 3D interactive visualizer for TensorFlow and Keras models."""

from __future__ import annotations

__version__ = "0.1.0"
