"""Attribution methods, one a file."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.capture.attributions.method import Method
from nnviz3d.capture.attributions.vanilla import VANILLA

METHODS: Mapping[str, Method] = {method.name: method for method in (VANILLA,)}
"""All methods by name, in the order in which they are listed."""
