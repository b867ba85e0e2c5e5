"""Blocks with gradients, gradient times activation and differences: numbers, colours, texts and missing numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.targets import PREDICTED, Target
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import number
from nnviz3d.scene.facts import exact
from nnviz3d.scene.panel_rows import KeyRow, TextRow
from nnviz3d.scene.primitives import Callout, Image, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from tests.support import captures
from tests.support.captures import explained_gradients, explained_maps
from tests.support.number_words import read_number

OTHER = Target("scores", 1)
LAYERS = ("input", "conv", "pool", "dense", "scores")


@pytest.fixture(scope="module")
def scene(explained_capture):
    return Scene.build(default_scene(), explained_capture)


def blocks(scene, **selected):
    found = scene.at(scene.duration, Selection(**selected)).primitives
    return {p.name: p for p in found if isinstance(p, Voxels)}


def words(scene, **selected):
    panels = [p for p in scene.at(scene.duration, Selection(**selected)).primitives if isinstance(p, Panel)]
    return "\n".join(row.text for panel in panels for row in panel.rows if isinstance(row, TextRow))


class TestNumbers:
    @pytest.mark.parametrize("sample", [0, 2])
    def test_blocks_show_the_captured_gradient(self, scene, sample):
        found = blocks(scene, sample=sample, quantity="gradient")
        assert set(found) == set(LAYERS), "flatten has none, and no block"
        for name, block in found.items():
            arranged = scene.context.placement(name).grid.arrange(explained_gradients()[name][sample])
            assert np.array_equal(block.values, arranged)

    def test_gradient_follows_the_target(self, scene):
        found = blocks(scene, quantity="gradient", target=OTHER)
        for name, block in found.items():
            arranged = scene.context.placement(name).grid.arrange(-2 * explained_gradients()[name][0])
            assert np.array_equal(block.values, arranged)

    def test_gradient_x_activation_is_the_product(self, scene, explained_capture):
        for name, block in blocks(scene, sample=1, quantity="gradient_x_activation").items():
            product = explained_gradients()[name][1] * explained_capture.activation(name, 1)
            assert np.array_equal(block.values, scene.context.placement(name).grid.arrange(product))

    def test_difference_is_that_of_two_samples(self, scene, explained_capture):
        found = blocks(scene, sample=2, quantity="difference", against=0)
        assert set(found) == {*LAYERS, "flatten"}
        for name, block in found.items():
            difference = explained_capture.activation(name, 2) - explained_capture.activation(name, 0)
            assert np.array_equal(block.values, scene.context.placement(name).grid.arrange(difference))

    def test_scene_file_sets_the_quantity(self, explained_capture):
        view = {"kind": "activations", "quantity": "difference", "against": 1}
        spec = parse_scene({"format": 1, "views": [view]})
        assert np.array_equal(
            blocks(Scene.build(spec, explained_capture))["dense"].values,
            blocks(Scene.build(default_scene(), explained_capture), quantity="difference", against=1)["dense"].values,
        )
        assert not spec.needs().gradients
        for quantity in ("gradient", "gradient_x_activation", "attribution"):
            assert (
                parse_scene({"format": 1, "views": [{"kind": "activations", "quantity": quantity}]}).needs().gradients
            )

    def test_scene_file_accepts_attribution_as_gradient_x_activation(self):
        alias, name = (
            parse_scene({"format": 1, "views": [{"kind": "activations", "quantity": quantity}]})
            for quantity in ("attribution", "gradient_x_activation")
        )
        assert alias == name

    def test_equal_selections_give_the_same_arrays(self, scene):
        for selected in ({"quantity": "gradient"}, {"quantity": "difference", "against": 1}):
            first = blocks(scene, **selected)
            again = blocks(scene, **selected, threshold=0.7)
            assert all(first[name].values is again[name].values for name in first)


class TestLooks:
    @pytest.mark.parametrize(
        "selected",
        [{"quantity": "gradient"}, {"quantity": "gradient_x_activation"}, {"quantity": "difference", "against": 1}],
    )
    @pytest.mark.parametrize("normalize", ["layer", "global", "symmetric"])
    def test_colours_of_signed_quantities_are_symmetric_about_zero(self, scene, selected, normalize):
        for block in blocks(scene, **selected, normalize=normalize, colormap="viridis").values():
            assert block.colormap.diverging
            assert block.limits[0] == -block.limits[1]

    def test_input_is_a_picture_only_for_activations(self, scene):
        def pictures(**selected):
            return [p.name for p in scene.at(9.0, Selection(**selected)).primitives if isinstance(p, Image)]

        assert pictures() == ["input"]
        assert pictures(quantity="gradient") == []


class TestWords:
    def test_legend_names_the_quantity_and_its_target(self, scene, explained_capture):
        answer, other = explained_capture.explanations(1).targets
        name = captures.CLASSES[answer.target.index]
        text = words(scene, sample=1, quantity="gradient")
        assert (
            f"gradient of the score of {name} (score {number(answer.score)}, p 0.500); each layer's scale ends at"
            in text
        )
        text = words(scene, sample=1, quantity="gradient_x_activation", target=OTHER)
        assert f"gradient × activation for the score of bee (score {number(other.score)})" in text
        text = words(scene, sample=1, quantity="difference", against=2)
        assert "sample 1 − sample 2" in text
        assert "sample 0 − sample 2, conv" in words(scene, quantity="difference", against=2, layer="conv")

    def test_description_of_a_cell_has_all_quantities(self, scene, explained_capture):
        pick = CellPick("conv", (5, 2, 3))
        selection = Selection(1, pick=pick, against=0)
        (told,) = (p for p in scene.at(9.0, selection).primitives if isinstance(p, Callout))
        parts = {row.key: np.float32(read_number(row.text)) for row in told.rows if isinstance(row, KeyRow)}
        here, there = (explained_capture.activation("conv", sample)[5, 2, 3] for sample in (1, 0))
        gradient = explained_gradients()["conv"][1][5, 2, 3]
        assert parts == {
            "activation": here,
            "gradient": gradient,
            "gradient × activation": gradient * here,
            "Grad-CAM": explained_maps()["conv"][1][5, 2],
            "difference": here - there,
        }
        sentence = scene.describe(pick, Selection(1)).sentence
        assert sentence.startswith(
            f"conv [5, 2, 3]: activation {exact(here)}, gradient {exact(gradient)}, gradient × activation "
        )
        assert scene.describe(CellPick("flatten", (3,)), Selection(1)).parts == ()


class TestWhatIsMissing:
    def test_missing_gradients_are_refused_with_the_option(self, small_capture):
        scene = Scene.build(default_scene(), small_capture)
        with pytest.raises(
            SceneError, match=r"no gradients for sample 0; capture it with: nnviz3d capture hand\.keras"
        ):
            scene.at(0.0, Selection(quantity="gradient"))

    def test_target_without_explanation_is_refused(self, scene):
        with pytest.raises(SceneError, match=r"no gradients of ant for sample 0; .*--gradients -o run\.zarr\.$"):
            scene.at(0.0, Selection(quantity="gradient", target=Target("scores", 0)))

    def test_difference_without_another_sample_is_refused(self, scene):
        with pytest.raises(SceneError, match="A difference is of two samples; choose the one to compare with"):
            scene.at(0.0, Selection(quantity="difference"))

    def test_difference_of_samples_of_different_sizes_is_refused(self, explained_capture, tmp_path):
        from nnviz3d.data.capture_series import CaptureSeries

        values = {name: array[:1] for name, array in captures.small_values().items()}
        values["dense"] = values["dense"][:, :10]
        other = captures.write(tmp_path / "other.zarr", captures.small_graph(), values)
        series = CaptureSeries.of(explained_capture).plus(other)
        series.activation = lambda node, sample=0, output=0: (  # type: ignore[method-assign]
            values[node][0] if sample == 3 else explained_capture.activation(node, sample)
        )
        scene = Scene.build(default_scene(), series)
        with pytest.raises(
            SceneError, match=r"sample 0 and sample 0 cannot be compared: dense has 20 numbers .* 10 for"
        ):
            scene.at(0.0, Selection(quantity="difference", against=3))


def test_predicted_slots_differ_by_sample(explained_capture):
    for sample in range(3):
        found = explained_capture.explanations(sample).targets
        assert found[0].slot == PREDICTED
        assert found[0].target.index == int(explained_capture.activation("scores", sample).argmax())
