"""Tests that the functions which capabilities name exist, and are called in the right order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.capture import capabilities
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capabilities.capability import imported
from nnviz3d.data.request import Insights

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda one: one.name)
def test_functions_that_a_capability_names_exist(capability):
    assert callable(imported(capability.capture))
    assert capability.check is None or callable(imported(capability.check))


def test_all_capabilities_check_the_request_before_one_is_computed(monkeypatch):
    called = []
    monkeypatch.setattr(capabilities, "imported", lambda name: lambda *_: called.append(name))
    capabilities.write_capabilities(None, SimpleNamespace(insights=Insights(attention=True, gradients=True)), print)
    checks = [one.check for one in CAPABILITIES if one.check is not None]
    wanted = [one.capture for one in CAPABILITIES if one.name in ("targets", "gradients", "attention")]
    assert called == [*checks, *wanted]
