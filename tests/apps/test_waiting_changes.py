"""A change of the interventions and another request to the model, the one while the other is still computed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d import Intervention
from nnviz3d.apps.sample_runner import Answer
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import Target
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.view_text import ViewState
from tests.apps.test_web_interventions import Model
from tests.support import captures

MUTE, FREEZE = Intervention("conv", unit=1), Intervention("dense", action="freeze")
LAST = 3
"""Position of the sample that the model has not been run on."""


class StoppableModel(Model):
    """A runner whose work can be stopped."""

    stopped = 0

    def stop(self):
        self.stopped += 1

    def forget(self, sample):
        """Nothing is on the disk."""


@pytest.fixture
def model(tmp_path):
    found = StoppableModel(tmp_path)
    found.made_all = True
    return found


@pytest.fixture(params=["ab", None], ids=["of a file", "that may be trained"])
def session(request, model, tmp_path):
    capture = captures.write(
        tmp_path / "run.zarr",
        captures.small_graph(),
        captures.small_values(),
        classes=captures.CLASSES,
        sha256=request.param,
    )
    samples = tuple(Sample(f"sample {i}", i if i < LAST else None, f"digits:{i}") for i in range(LAST + 1))
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=model)


def shown(session):
    """The interventions in the run that is shown."""
    return session.context.explanations(session.selection.sample).interventions


def truthful(session):
    """Whether the listed interventions are shown, or the user is told that the model runs."""
    return shown(session) == session.interventions.listed or "interventions" in session.queries.busy


def answer(session, model, number=-1):
    model.answer(number)
    session.poll()
    assert truthful(session)


def finish(session, model):
    """Answer until nothing is asked any more."""
    for _ in range(4):
        if not session.queries.busy:
            return
        answer(session, model)
    raise AssertionError(session.queries.busy)


def find_features(session):
    assert session.queries.run_for_model(Insights(features=("conv",)), "")


def test_change_is_computed_after_a_request_that_follows_it(session, model):
    session.interventions.add(MUTE)
    find_features(session)
    assert session.interventions.listed == (MUTE,)
    assert session.queries.busy.endswith("then running the model with interventions on sample 0")
    answer(session, model)
    assert model.asked[-1].insights.interventions == (MUTE,), "the change is asked for again"
    answer(session, model)
    assert (shown(session), session.selection.quantity, session.queries.busy) == ((MUTE,), "change", "")


def test_change_that_arrives_after_a_request_that_follows_it_is_stored(session, model):
    session.interventions.add(MUTE)
    find_features(session)
    answer(session, model, 0)
    assert (shown(session), session.interventions.listed) == ((MUTE,), (MUTE,))
    answer(session, model, 1)
    assert (shown(session), session.selection.quantity, session.queries.busy) == ((MUTE,), "change", "")
    assert len(model.asked) == 2, "it is not asked for again"


def test_request_is_answered_before_a_change_that_follows_it(session, model):
    find_features(session)
    session.interventions.add(MUTE)
    assert len(model.asked) == 1
    assert session.interventions.listed == (MUTE,)
    assert truthful(session)
    session.interventions.add(FREEZE)
    answer(session, model)
    assert len(model.asked) == 2
    answer(session, model)
    assert (shown(session), session.selection.quantity) == ((MUTE, FREEZE), "change")


@pytest.mark.parametrize("mute_first", [True, False])
def test_sample_and_change_are_both_shown(session, model, mute_first):
    acts = [lambda: session.interventions.add(MUTE), lambda: session.choose(LAST)]
    for act in acts if mute_first else acts[::-1]:
        act()
        assert truthful(session)
    finish(session, model)
    assert (session.samples.chosen, shown(session), session.selection.quantity) == (LAST, (MUTE,), "change")


@pytest.mark.parametrize("mute_first", [True, False])
def test_gradients_and_change_are_both_computed(session, model, mute_first):
    acts = [lambda: session.interventions.add(MUTE), lambda: session.choices.find_gradients({})]
    for act in acts if mute_first else acts[::-1]:
        act()
        assert truthful(session)
    asked = [model.asked[-1]]
    while session.queries.busy:
        answer(session, model)
        asked.append(model.asked[-1])
    assert any(one.insights.gradients for one in asked)
    assert (shown(session), session.selection.quantity) == ((MUTE,), "change")


@pytest.mark.parametrize("mute_first", [True, False])
def test_perspective_and_change_are_both_computed(session, model, mute_first):
    acts = [
        lambda: session.interventions.add(MUTE),
        lambda: session.queries.run_again(Insights(gradients=True), {}, "Computing for", perspective="network"),
    ]
    for act in acts if mute_first else acts[::-1]:
        act()
        assert truthful(session)
    finish(session, model)
    assert (shown(session), session.perspectives.current) == ((MUTE,), "network")


@pytest.mark.parametrize(
    ("look", "quantity"),
    [
        (lambda session: session.choices.show("activation"), "activation"),
        (lambda session: session.choices.explain(None), "change"),
        (lambda session: session.look_at("activations"), "change"),
        (lambda session: session.look_at("network"), None),
        (lambda session: session.choose(1), "change"),
        (lambda session: session.choose(0), "change"),
        (lambda session: show_view(session, view_of(session)), None),
        (lambda session: show_view(session, ViewState(look=LookSpec(layer="conv"))), None),
    ],
)
def test_change_outlives_what_is_shown_at_once(session, model, look, quantity):
    session.choose(1)
    if session.queries.busy:
        finish(session, model)
    session.choose(0)
    session.interventions.add(MUTE)
    look(session)
    assert session.interventions.listed == (MUTE,)
    assert truthful(session)
    if session.queries.busy.startswith("Running the model with interventions"):
        answer(session, model)
    finish(session, model)
    assert (shown(session), session.selection.quantity) == ((MUTE,), quantity)


def test_change_outlives_a_request_that_fails_or_is_stopped(session, model):
    session.choose(LAST)
    session.interventions.add(MUTE)
    model.ready.append(Answer(model.asked[-1], problem="There is no such input."))
    session.poll()
    assert session.queries.message == "There is no such input."
    assert model.asked[-1].insights.interventions == (MUTE,)
    find_features(session)
    session.queries.stop()
    assert model.stopped == 1
    answer(session, model)
    assert (session.samples.chosen, shown(session), session.queries.busy) == (0, (MUTE,), "")


def test_refused_change_is_not_asked_for_again(session, model):
    find_features(session)
    session.interventions.add(MUTE)
    answer(session, model)
    model.ready.append(Answer(model.asked[-1], problem="The model failed."))
    session.poll()
    assert (session.queries.message, session.interventions.listed, session.queries.busy) == (
        "The model failed.",
        (),
        "",
    )
    assert len(model.asked) == 2


@pytest.mark.parametrize("other_look", [False, True])
def test_stopped_change_is_wanted_no_longer(session, model, other_look):
    session.interventions.add(MUTE)
    if other_look:
        session.look_at("network")
    session.queries.stop()
    assert model.stopped == 1
    assert (session.interventions.listed, session.queries.busy) == ((), "")
    model.ready.append(Answer(model.asked[-1]))
    session.poll()
    assert (shown(session), session.queries.busy, len(model.asked)) == ((), "", 1)


def test_stop_ends_only_work_that_the_user_waits_for(session, model):
    session.choose(LAST)
    session.choose(0)
    session.queries.stop()
    assert model.stopped == 0


def test_reset_while_the_model_computes_something_else_is_done_at_once_and_stays(session, model):
    session.interventions.add(MUTE)
    answer(session, model)
    find_features(session)
    session.interventions.reset()
    assert (shown(session), session.selection.quantity) == ((), None)
    answer(session, model)
    assert (shown(session), session.interventions.listed, session.queries.busy) == ((), (), "")


def test_reset_of_a_change_that_is_under_way_stays(session, model):
    session.interventions.add(MUTE)
    session.interventions.reset()
    assert (session.interventions.listed, session.queries.busy) == ((), "")
    answer(session, model)
    assert (shown(session), session.interventions.listed, session.selection.quantity) == ((), (), None)


def test_target_that_is_asked_for_while_a_sample_is_waited_for_is_explained_for_that_sample(session, model):
    session.choose(LAST)
    target = Target("scores", 2)
    session.choices.explain(target)
    assert (model.asked[-1].source, model.asked[-1].insights.targets) == (f"digits:{LAST}", (target.text,))
    finish(session, model)
    assert session.samples.chosen == LAST
