"""Tests of what holds for every capability alike: its fields, its options, its stages, its checks of a ready capture."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from nnviz3d.apps.worker import STAGES
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capabilities.capability import Capability, imported
from nnviz3d.data.request import Insights
from nnviz3d.options import CapabilityOptions
from nnviz3d.scene.views import BY_KIND

every_capability = pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda one: one.name)


def repeated(names):
    return [name for name, count in Counter(names).items() if count > 1]


def test_every_field_of_the_request_belongs_to_one_capability():
    names = [one.name for capability in CAPABILITIES for one in fields(capability.fields)]
    assert not repeated(names)
    assert set(names) == set(Insights.model_fields)


def test_names_options_and_stages_of_capabilities_are_unique():
    assert not repeated(capability.name for capability in CAPABILITIES)
    assert not repeated(one.name for capability in CAPABILITIES for one in fields(capability.options))
    assert not repeated(stage for capability in CAPABILITIES for stage in capability.stages)


def test_without_options_nothing_is_asked_for():
    assert CapabilityOptions().wanted() == Insights()
    assert not [capability.name for capability in CAPABILITIES if capability.wanted(Insights())]


@every_capability
def test_every_option_has_one_sentence_of_help(capability: Capability):
    hints = get_type_hints(capability.options, include_extras=True)
    for one in fields(capability.options):
        _, words = get_args(hints[one.name])
        assert words.endswith(".")


@every_capability
def test_every_stage_has_words(capability: Capability):
    for stage, words in capability.stages.items():
        assert STAGES[stage] == words
        assert words[0].isupper()


@every_capability
def test_ready_capture_lacks_nothing_of_an_empty_request(capability: Capability, small_capture):
    assert capability.missing(small_capture, Insights()) == ""


@every_capability
def test_what_a_capture_holds_is_a_request_of_which_it_lacks_nothing(capability: Capability, explained_capture):
    held = capability.held(explained_capture)
    assert set(held) <= {one.name for one in fields(capability.fields)}
    assert capability.missing(explained_capture, Insights(**held)) == ""


@every_capability
def test_views_that_a_capability_names_are_views_of_scene_files(capability: Capability):
    for name in capability.views:
        assert imported(name) in BY_KIND.values()


def test_capability_of_the_model_is_not_asked_for_with_further_samples():
    everything = Insights(gradients=True, attention=True, features=("conv",), embeddings=("dense",), dataset=("x.npy",))
    assert everything.of_samples == Insights(gradients=True, attention=True)
