"""Tests of the words for interventions, and of their list in requests and captures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnviz3d import Intervention
from nnviz3d.data.capabilities.interventions import InterventionOptions
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.spec import parse_scene

every_kind = pytest.mark.parametrize(
    ("place", "intervention"),
    [
        ("conv2d", Intervention("conv2d")),
        ("conv2d[3]", Intervention("conv2d", unit=3)),
        ("block/conv2d@1[0,5,3]", Intervention("block/conv2d@1", index=(0, 5, 3))),
        ("conv2d[3]->dense", Intervention("conv2d", unit=3, reader="dense")),
    ],
)


@every_kind
def test_place_of_an_intervention_is_read_as_it_is_written(place, intervention):
    assert Intervention.at(place) == intervention
    assert intervention.place == place
    assert Insights.model_validate_json(Insights(interventions=(intervention,)).model_dump_json()).interventions == (
        intervention,
    )


@pytest.mark.parametrize("factor", [0.5, -2, 1 / 3, 1e-20])
@every_kind
def test_words_of_an_intervention_are_read_as_they_are_written(place, intervention, factor):
    del place
    for one in (
        intervention,
        replace(intervention, action="freeze"),
        replace(intervention, action="scale", factor=factor),
    ):
        assert Intervention.of_text(one.text) == one
        assert one.in_words


@pytest.mark.parametrize(
    "options",
    [
        InterventionOptions(mute=("a[1,2]", "b")),
        InterventionOptions(scale=("c[3]=-0.5", "d->e=1e-20", "f=0.3333333333333333")),
        InterventionOptions(freeze=("d[1]->e[2]",)),
        InterventionOptions(paint=("image=patch.png",)),
    ],
)
def test_option_of_an_intervention_is_the_value_that_it_was_read_from(options):
    listed = options.interventions()
    assert [getattr(options, one.action) for one in listed] == [tuple(one.option for one in listed)] * len(listed)


def test_shown_text_of_an_intervention_has_a_minus_sign_before_its_factor_alone():
    one = Intervention.at("conv-1[3]->dense[4]")
    assert one.shown_text == one.text
    scaled = replace(one, action="scale", factor=-2e-5)
    assert (scaled.text, scaled.shown_text) == (
        "scale conv-1[3]->dense[4] by -2e-05",
        "scale conv-1[3]->dense[4] by −2e−05",
    )


@pytest.mark.parametrize(
    "intervention",
    [
        Intervention("image", action="paint", picture="patch.png"),
        Intervention("dense", index=(3,)),
        Intervention("a[1]"),
        Intervention("a->b"),
    ],
)
def test_words_that_mean_something_else_are_not_read(intervention):
    assert not intervention.in_words


@pytest.mark.parametrize(
    "text", ["mute", "mute conv[", "scale conv", "scale conv by nan", "paint image", "", " mute a"]
)
def test_wrong_words_for_an_intervention_are_one_sentence(text):
    with pytest.raises(UserError, match=r"conv2d\[3\]"):
        Intervention.of_text(text)
    with pytest.raises(SceneError, match=r"scene: look\.interventions: .*conv2d\[3\]"):
        parse_scene({"format": 1, "look": {"interventions": [text or "x"]}})


def test_options_become_interventions():
    options = InterventionOptions(mute=("a[1,2],b",), scale=("c[3]=-0.5",), freeze=("d->e",))
    assert options.request_fields()["interventions"] == (
        Intervention("a", index=(1, 2)),
        Intervention("b"),
        Intervention("c", unit=3, action="scale", factor=-0.5),
        Intervention("d", action="freeze", reader="e"),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"mute": ("conv[",)},
        {"mute": ("conv[1,]",)},
        {"scale": ("conv[3]",)},
        {"scale": ("conv=nan",)},
        {"freeze": ("[2]",)},
    ],
)
def test_wrong_place_or_factor_is_one_sentence(options):
    with pytest.raises(UserError, match=r"conv2d\[3\]"):
        InterventionOptions(**options).request_fields()


def test_later_request_replaces_interventions_and_adds_everything_else():
    first = Insights(interventions=(Intervention("a"),), targets=("3",))
    assert first.plus(Insights(gradients=True)) == Insights(
        interventions=(Intervention("a"),), targets=("3",), gradients=True
    )
    second = first.plus(Insights(interventions=(Intervention("b"),)))
    assert second.interventions == (Intervention("b"),)
    assert second.plus(Insights(interventions=())) == Insights(targets=("3",))
    assert first.plus(Insights().plus(Insights(gradients=True))).interventions == (Intervention("a"),)
