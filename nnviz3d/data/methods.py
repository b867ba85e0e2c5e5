"""What attribution methods are called, which who computes maps and who draws them have to know alike."""

from __future__ import annotations

from collections.abc import Mapping

TITLES: Mapping[str, tuple[str, bool]] = {
    "vanilla": ("Gradient", False),
    "gradient_x_input": ("Gradient × input", True),
    "smoothgrad": ("SmoothGrad", False),
    "integrated_gradients": ("Integrated gradients", True),
    "occlusion": ("Occlusion", True),
    "cam": ("CAM", True),
    "grad_cam": ("Grad-CAM", False),
    "grad_cam_plus_plus": ("Grad-CAM++", False),
    "layer_cam": ("LayerCAM", False),
    "score_cam": ("Score-CAM", False),
}
"""What methods are called in a picture, and whether their numbers may be negative."""
