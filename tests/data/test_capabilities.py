"""Tests of what holds for every capability alike: its fields, its options, its stages, its checks of a ready capture."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from pydantic import ValidationError

from nnviz3d.capability_options import CapabilityOptions
from nnviz3d.data.capabilities import ATTENTION, ATTRIBUTIONS, CAPABILITIES, FEATURES, GRADIENTS
from nnviz3d.data.capabilities.capability import Capability, imported
from nnviz3d.data.request import STAGES, Insights, Progress
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


def test_capability_options_ask_for_nothing_by_default():
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
def test_capture_lacks_nothing_of_the_request_for_what_it_holds(capability: Capability, explained_capture):
    held = capability.held(explained_capture)
    assert set(held) <= {one.name for one in fields(capability.fields)}
    assert capability.missing(explained_capture, Insights(**held)) == ""


@every_capability
def test_views_that_a_capability_names_are_views_of_scene_files(capability: Capability):
    for name in capability.views:
        assert imported(name) in BY_KIND.values()


def asking_for(capability: Capability) -> Insights:
    """A request for a capability alone."""
    tried = ((one.name, value) for one in fields(capability.fields) for value in (True, ("x",), ({"layer": "x"},)))
    for name, value in tried:
        try:
            request = Insights(**{name: value})
        except ValidationError:
            continue
        if capability.wanted(request):
            return request
    raise AssertionError(f"no field of {capability.name} asks for it")


computed = [one for one in CAPABILITIES if one.name != "targets"]
"""Targets alone are not computed: gradients and attributions ask for them."""


@pytest.mark.parametrize("capability", computed, ids=lambda one: one.name)
def test_capability_of_samples_is_asked_for_with_further_samples_and_one_of_the_model_is_not(capability: Capability):
    request = asking_for(capability)
    assert capability.wanted(request.of_samples) is capability.of_sample
    assert not (capability.of_sample and capability.dataset_option), (
        "what is computed of a data set belongs to the model"
    )


def test_explanations_belong_to_samples_and_features_to_the_model():
    assert all(one.of_sample for one in (GRADIENTS, ATTRIBUTIONS, ATTENTION))
    assert not FEATURES.of_sample


@pytest.mark.parametrize("capability", computed, ids=lambda one: one.name)
def test_ready_capture_without_a_capability_is_told_which_option_captures_it(capability: Capability, small_capture):
    sentence = capability.missing(small_capture, asking_for(capability))
    options = [f"--{one.name.removesuffix('_')}" for one in fields(capability.options)]
    assert any(option in sentence for option in options), (sentence, options)


def test_progress_of_a_stage_that_nobody_declared_is_an_error():
    with pytest.raises(ValidationError, match="there is no stage 'spectrum'"):
        Progress(stage="spectrum", done=0)
