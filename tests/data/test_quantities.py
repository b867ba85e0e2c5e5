"""Names of quantities."""

from __future__ import annotations

import pytest

from nnviz3d.data.quantities import canonical


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("attribution", "gradient_x_activation"),
        ("gradient_x_activation", "gradient_x_activation"),
        ("activation", "activation"),
        ("nonsense", "nonsense"),
        (None, None),
        ([], []),
    ],
)
def test_canonical_replaces_aliases_only(given, name):
    assert canonical(given) == name
