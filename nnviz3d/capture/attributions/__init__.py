"""The attribution methods; each has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.capture.attributions.cam import CAM
from nnviz3d.capture.attributions.grad_cam import GRAD_CAM
from nnviz3d.capture.attributions.grad_cam_plus_plus import GRAD_CAM_PLUS_PLUS
from nnviz3d.capture.attributions.gradient_x_input import GRADIENT_X_INPUT
from nnviz3d.capture.attributions.integrated_gradients import INTEGRATED_GRADIENTS
from nnviz3d.capture.attributions.layer_cam import LAYER_CAM
from nnviz3d.capture.attributions.method import Method
from nnviz3d.capture.attributions.occlusion import OCCLUSION
from nnviz3d.capture.attributions.score_cam import SCORE_CAM
from nnviz3d.capture.attributions.smoothgrad import SMOOTHGRAD
from nnviz3d.capture.attributions.vanilla import VANILLA

_OF_INPUTS = (VANILLA, GRADIENT_X_INPUT, SMOOTHGRAD, INTEGRATED_GRADIENTS, OCCLUSION)
_OF_LAYERS = (CAM, GRAD_CAM, GRAD_CAM_PLUS_PLUS, LAYER_CAM, SCORE_CAM)

METHODS: Mapping[str, Method] = {method.name: method for method in (*_OF_INPUTS, *_OF_LAYERS)}
"""All methods by name, in the order of lists for users."""
