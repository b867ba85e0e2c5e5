"""Tests of opening a target, and of what is requested of its model."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.inspection import describe
from nnviz3d.apps.open_target import lacking, opened
from nnviz3d.apps.sample_runner import SampleRequest
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.target import ModelOptions
from nnviz3d.capability_options import CapabilityOptions
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import read_embedding
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.capabilities.targets import explains
from nnviz3d.data.capture import open_capture
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Insights
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.targets import PREDICTED, write_targets
from nnviz3d.errors import SampleError, UserError
from nnviz3d.options import Look, Model, selection_of
from nnviz3d.scene.selection import Selection
from tests.support import captures
from tests.support.recorder import Recorder
from tests.support.target_words import CLASSES, WORDS


@pytest.fixture
def explained(tmp_path):
    """A capture of three samples, each explained by its own answer and by class 1."""
    values, graph = captures.small_values(), captures.small_graph()
    provenance = Provenance("hand.keras", samples=("a", "b", "c"))
    with CaptureWriter(
        tmp_path / "explained.zarr", graph=graph, provenance=provenance, samples=3, classes=captures.CLASSES
    ) as writer:
        for node, array in values.items():
            writer.write_activations(node, 0, 0, array)
        for slot, index in ((PREDICTED, np.array([4, 0, 2])), ("scores[1]", np.full(3, 1))):
            write_targets(writer, slot, "scores", index, np.ones(3), None)
            write_gradient(writer, slot, "dense", 0, 0, values["dense"])
        writer.commit(3)
    return open_capture(tmp_path / "explained.zarr")


@pytest.mark.parametrize("word", ["1", "bee", "BEE", "scores[1]", "elk", "predicted"])
def test_class_that_a_ready_capture_explains_is_found_by_number_name_or_index(explained, word):
    assert explains(explained, word)


def test_class_that_explains_no_sample_of_a_ready_capture_is_not_found(explained):
    assert explains(explained, "elk")
    assert not explains(explained, "dog")


@pytest.mark.parametrize(("word", "target"), WORDS.items())
def test_ready_capture_reads_every_word_of_the_shared_table_as_its_target(word, target, tmp_path):
    def write_target(writer):
        write_targets(
            writer, target.slot, target.output, np.full(3, target.index), np.ones(3), None, against=target.against
        )

    capture = captures.write(
        tmp_path / "words.zarr",
        captures.small_graph(),
        captures.small_values(),
        classes=CLASSES,
        also=(write_target,),
    )
    assert lacking(capture, Insights(targets=(word,))) == ""
    others = [text for text, other in WORDS.items() if other != target]
    assert not any(explains(capture, text) for text in others)


def test_class_that_the_model_does_not_have_is_refused_with_a_suggestion(explained):
    assert lacking(explained, Insights(targets=("bea",))) == "hand has no class 'bea'; did you mean bee?"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Insights(gradients=True, targets=("cat",)), ""),
        (Insights(targets=("dog",)), "does not explain 'dog'; capture the model with --class dog"),
        (Insights(attributions=("grad_cam",)), "no map by grad_cam; capture the model with --attribution grad_cam"),
        (Insights(attributions=("automatic",)), "no map of a decision; capture the model with --attribution automatic"),
    ],
)
def test_lacking_is_one_sentence_or_empty(explained, wanted, words):
    found = lacking(explained, wanted)
    assert words in found
    assert bool(found) == bool(words)


def test_capture_without_gradients_lacks_gradients(tmp_path):
    assert "holds no gradients" in lacking(captures.small_capture(tmp_path / "x.zarr"), Insights(gradients=True))


def test_ready_capture_without_a_model_is_refused_if_it_lacks_something(tmp_path):
    captures.small_capture(tmp_path / "x.zarr")
    wanted = Insights(gradients=True)
    with (
        pytest.raises(UserError, match="--gradients"),
        opened(str(tmp_path / "x.zarr"), None, ModelOptions(), print, wanted=wanted),
    ):
        pass


def test_method_for_a_scene_without_maps_is_refused(tmp_path):
    captures.small_capture(tmp_path / "x.zarr")
    with (
        pytest.raises(UserError, match=r"--method has no effect on this scene.*--scene decisions"),
        opened(str(tmp_path / "x.zarr"), None, ModelOptions(), print, chosen={"method": "grad_cam"}),
    ):
        pass


class Enough(Exception):  # noqa: N818 - nothing went wrong
    """Raised when the request is known."""


def request_of(target, scene=None, options=None, **more):
    """Return the request that opening a target makes."""
    found = []

    def run(request):
        found.append(request)
        raise Enough

    with pytest.raises(Enough), opened(target, scene, options or ModelOptions(), run, **more):
        pass
    return found[0]


def test_options_of_the_command_line_reach_the_request():
    look = Look(quantity="gradient", class_="5", method="grad_cam")
    request = request_of(
        str(bundled("digits.keras")), options=Model(input=("digits:3",)).options(), wanted=look.wanted()
    )
    assert request.insights == Insights(gradients=True, targets=("5",), attributions=("grad_cam",))


def test_model_is_captured_if_the_ready_capture_lacks_something():
    request = request_of("digits", wanted=Insights(gradients=True, targets=("5",)))
    assert request.model.endswith("digits.keras")
    assert request.insights.targets == ("5",)
    assert request.only == 7  # the scene's own sample


def test_interventions_of_the_command_line_are_captured_and_win_over_those_of_the_scene(tmp_path):
    listed = (Intervention("conv2d_1", unit=21), Intervention("conv2d", unit=3, action="scale", factor=0.5))
    look = Look(mute=("conv2d_1[21]",), scale=("conv2d[3]=0.5",))
    assert look.wanted() == Insights(interventions=listed)
    assert look.chosen() == {
        "interventions": ("mute conv2d_1[21]", "scale conv2d[3] by 0.5"),
        "quantity": "change",
    }
    assert Look(mute=("a",), quantity="gradient").chosen()["quantity"] == "gradient"
    assert "quantity" not in Look(mute=("a",), against="b.keras").chosen()
    text = '[look]\nquantity = "change"\ninterventions = ["freeze dense"]\n'
    (tmp_path / "my.toml").write_text(
        f'format = 1\n[source]\nmodel = "{bundled("digits.keras")}"\ninput = "digits:3"\n{text}'
    )
    request = request_of(str(tmp_path / "my.toml"))
    assert request.insights.interventions == (Intervention("dense", action="freeze"),)
    request = request_of(str(tmp_path / "my.toml"), wanted=look.wanted(), chosen=look.chosen())
    assert request.insights.interventions == listed
    request = request_of("what_if", wanted=look.wanted(), chosen=look.chosen())
    assert (request.insights.interventions, request.model) == (listed, str(bundled("digits.keras")))


def test_capture_with_the_interventions_of_the_command_line_is_not_made_again():
    look = Look(mute=("conv2d_1[21]",))
    with opened("what_if", None, ModelOptions(), pytest.fail, wanted=look.wanted(), chosen=look.chosen()) as found:
        selection = selection_of(look, found)
        assert np.any(found.scene(selection, aspect=1.5).context.change("conv2d_1", found.sample))
    lone = str(bundled("what_if.zarr.zip"))
    other = Look(freeze=("dense",))
    with (
        pytest.raises(UserError, match="holds no run with freeze dense; capture the model with --freeze 'dense'"),
        opened(lone, None, ModelOptions(), pytest.fail, wanted=other.wanted(), chosen=other.chosen()),
    ):
        pass


@pytest.mark.parametrize("scene", ["embedding", "structure", "landscape"])
def test_interventions_on_a_scene_without_numbers_of_layers_are_refused(scene):
    look = Look(mute=("dense",))
    with (
        pytest.raises(UserError, match="--mute, --scale and --freeze have no effect on this scene"),
        opened(scene, None, ModelOptions(), pytest.fail, wanted=look.wanted(), chosen=look.chosen()),
    ):
        pass


def test_difference_needs_both_samples():
    assert Look(quantity="difference", against=1).whole
    with pytest.raises(UserError, match="--against"):
        Look(quantity="difference").wanted()
    with pytest.raises(UserError, match="--quantity"):
        Look(against=1).wanted()


def test_lists_are_separated_by_commas_or_repeated():
    wanted = CapabilityOptions(
        attribution=("grad_cam, occlusion", "cam"), class_=("5,espresso",), features=("a[0:3],b",)
    ).wanted()
    assert wanted.attributions == ("grad_cam", "occlusion", "cam")
    assert wanted.targets == ("5", "espresso")
    assert wanted.features == ("a[0:3]", "b")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (CapabilityOptions(class_=("5",)), "--gradients or --attribution"),
        (CapabilityOptions(at=("conv",)), "--attribution"),
        (CapabilityOptions(dataset=("digits:0-9",)), "--embed"),
        (CapabilityOptions(steps=0), "1 or more"),
        (CapabilityOptions(perplexity=0.9), r"at least 1; got 0\.9"),
    ],
)
def test_unused_or_invalid_options_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        options.wanted()


def test_sum_of_two_requests_asks_for_everything_of_both():
    both = Insights(targets=("5",), baseline="blur").plus(Insights(gradients=True, targets=("5", "6"), attention=True))
    assert both == Insights(targets=("5", "6"), baseline="blur", gradients=True, attention=True)
    assert Insights().plus(Insights(baseline="mean")).baseline == "mean"


def test_request_of_a_sample_lacks_what_belongs_to_the_whole_model():
    whole = Insights(gradients=True, features=("conv",), embeddings=("dense",), dataset=("digits:0-9",))
    assert whole.of_samples == Insights(gradients=True)
    assert ModelOptions().request("m.keras", Path("run.zarr"), whole).insights == whole


def test_input_of_a_scene_of_points_is_added_to_its_points():
    asked = []

    def run(request):
        asked.append(request)
        shutil.copyfile(bundled("embedding.zarr.zip"), request.out)

    with opened("embedding", None, ModelOptions(inputs=("digits:0",)), run) as found:
        (request,) = asked
        assert (request.inputs, request.insights.embeddings, request.insights.dataset) == (("digits:0",), (), ())
        assert (found.capture.committed, found.sample) == (2, 1)
        assert len(read_embedding(found.capture.stored, "dense").points) == 1000


def test_dataset_makes_the_points_of_a_scene_of_points():
    asked = []

    def run(request):
        asked.append(request)
        shutil.copyfile(bundled("embedding.zarr.zip"), request.out)

    wanted = Look(dataset=("digits:0-99",)).wanted()
    with opened("embedding", None, ModelOptions(), run, wanted=wanted):
        (request,) = asked
        assert (request.insights.embeddings, request.insights.dataset) == (("last hidden",), ("digits:0-99",))
    with (
        pytest.raises(UserError, match="--dataset has no effect on this scene"),
        opened("digits", None, ModelOptions(), run, wanted=wanted),
    ):
        pass
    with (
        pytest.raises(
            UserError, match=r"embedding\.zarr\.zip is a ready capture; capture the model anew with --dataset"
        ),
        opened(str(bundled("embedding.zarr.zip")), "embedding", ModelOptions(), run, wanted=wanted),
    ):
        pass
    # Without one, all input is.
    with opened(str(bundled("digits.keras")), "embedding", ModelOptions(inputs=("digits:0-9",)), run):
        assert asked[-1].insights.dataset == ("digits:0-9",)


class Asked:
    """A worker that records its requests and refuses them."""

    def __init__(self) -> None:
        self.requests = []

    def run(self, request, _on_event):
        self.requests.append(request)
        raise UserError("Not now.")

    def close(self):
        pass


@pytest.mark.parametrize("target", ["digits", str(bundled("digits.keras"))])
def test_dataset_of_another_scene_is_kept_for_what_a_session_computes(target):
    def run(request):
        assert request.insights.dataset == ()
        shutil.copyfile(bundled("digits.zarr.zip"), request.out)

    wanted = Look(dataset=("digits:20-29",)).wanted()
    options = ModelOptions() if target == "digits" else ModelOptions(inputs=("digits:0",))
    with opened(target, None, options, run, wanted=wanted, worker=Asked()) as found:
        session = Session.of(
            found, found.scene(Selection(), aspect=16 / 9), SimpleNamespace(size=(160, 90)), Selection()
        )
        listed = len(session.samples)
        assert session.samples.dataset == tuple(f"digits:{i}" for i in range(20, 30))
        assert session.samples.has_labels
        session.look_at("embedding")
        assert session.queries.perspective == "embedding"
        session.queries.stop()
        session.samples.add(Sample("mine", None, "mine.png"))
        assert len(session.samples.dataset) == 10
        assert len(session.samples) == listed + 1
    with (
        pytest.raises(SampleError, match=r"There is no input gone\.npy"),
        opened(target, None, options, run, wanted=Look(dataset=("gone.npy",)).wanted(), worker=Asked()),
    ):
        pass


def test_dataset_beside_a_ready_capture_without_its_model_is_refused_in_a_session_too():
    wanted = Look(dataset=("digits:20-29",)).wanted()
    with (
        pytest.raises(UserError, match="--dataset"),
        opened(str(bundled("digits.zarr.zip")), None, ModelOptions(), print, wanted=wanted, worker=Asked()),
    ):
        pass


def test_further_samples_get_the_same_insights_as_captured_samples():
    worker = Asked()
    with opened("decisions", None, ModelOptions(), print, worker=worker) as found:
        assert [one.source for one in found.samples[:3]] == ["digits:7", "digits:18", "digits:61"]
        answered = threading.Event()
        found.runner.on_news(answered.set)
        found.runner.ask(SampleRequest("digits:18", Insights(targets=("dense_1[2]",))))
        assert answered.wait(30)
    (request,) = worker.requests
    held = found.capture
    assert request.inputs == ("digits:18",)
    assert request.insights.targets == (PREDICTED, "dense_1[2]")
    assert set(request.insights.attributions) == {"automatic", *held.methods}
    assert request.insights.layers == held.explanations().attribution_layers("grad_cam")
    assert request.insights.gradients == held.has_gradients()


def test_training_is_shown_over_time_unless_a_scene_is_given(tmp_path):
    recorder = Recorder(tmp_path / "run.zarr")
    recorder.go_on(3)

    def kinds(scene):
        with opened(str(tmp_path / "run.zarr"), scene, ModelOptions(), print) as found:
            return [view.kind for view in found.spec.views]

    assert kinds(None) == ["structure", "activations", "connections", "training"]
    assert kinds("structure") == ["structure"]


def test_training_without_probe_samples_is_refused_with_advice_unless_it_is_only_described(tmp_path):
    Recorder(tmp_path / "run.zarr", samples=0).go_on(1)
    with (
        pytest.raises(UserError, match="without probe samples"),
        opened(str(tmp_path / "run.zarr"), None, ModelOptions(), print),
    ):
        pass
    with opened(str(tmp_path / "run.zarr"), None, ModelOptions(), print, sample=0, drawn=False) as found:
        assert describe(found.capture, found.sample)["training"]["recorded"] == 1
    with (
        pytest.raises(UserError, match="without probe samples"),
        opened(str(tmp_path / "run.zarr"), None, ModelOptions(), print, sample=3, drawn=False),
    ):
        pass
