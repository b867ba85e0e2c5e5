"""The view of a session as a value, and showing such a value in a session."""

from __future__ import annotations

from dataclasses import replace

from nnviz3d.apps.perspectives import State
from nnviz3d.apps.saved_scene import look_of
from nnviz3d.apps.session import Session
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.quantities import OF_GRADIENTS
from nnviz3d.data.targets import Target
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.look_check import check_shown, selection_of
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.view_text import ViewState


def view_of(session: Session) -> ViewState:
    """Return what a session shows, without the camera."""
    selection, samples = session.selection, session.samples
    if session.unfolding.moving:  # as it will be in a moment
        selection = replace(selection, unfold=session.unfolding.layer, unfolded=1.0)
    look = look_of(session.scene, session.clock.t, selection)
    against = None if selection.against is None else session.choices.against
    perspectives = session.perspectives
    return ViewState(
        perspective=None if perspectives.current == perspectives.first else perspectives.current,
        sample=samples.chosen,
        look=look.model_copy(update={"against": against}),
    )


def show_view(session: Session, view: ViewState) -> None:
    """Show a view in a session. What the model has to compute for it is shown when it arrives.

    Of a perspective that the model has to compute first, the sample, the layer and the pick are shown until then.

    Raises
    ------
    UserError
        If the session cannot show it; then nothing changes.
    """
    perspectives = session.perspectives
    wanted, before = view.perspective or perspectives.first, perspectives.current
    if wanted not in {one.name for one in perspectives.all}:
        raise SceneError(
            f"perspective: there is no {quoted(wanted)!r}; there are {', '.join(one.name for one in perspectives.all)}."
        )
    if wanted == before:
        _show(session, view)
    elif perspectives.availability(wanted).state is State.COMPUTABLE:
        _show(session, view.model_copy(update={"look": LookSpec(layer=view.look.layer, pick=view.look.pick)}))
        session.look_at(wanted)
    else:
        selection, t = session.selection, session.clock.t
        session.look_at(wanted)
        try:
            _show(session, view)
        except UserError:
            session.look_at(before)
            session.show(session.scene, selection, t)
            raise


def _show(session: Session, view: ViewState) -> None:
    """Show a view in the scene that is shown."""
    look, samples = view.look, session.samples
    position = samples.chosen if view.sample is None else view.sample
    for number in (position, *(() if look.against is None else (look.against,))):
        if number >= len(samples):
            raise SceneError(f"sample: there is no sample {number}; there are {len(samples)}, from 0.")
    against = None if look.against is None else samples[look.against].index
    if look.quantity == "difference" and against is None and session.choices.other_model is None:
        raise SceneError("look.against: the model has not been run on the sample that is subtracted.")
    opened = session.scene.context.opened if look.opened is None else frozenset(look.opened)
    unknown = sorted(opened - session.groups.all)
    if unknown:
        raise SceneError(f"look.opened: there is no group of layers {quoted(unknown[0])!r}.")
    sample = samples[position].index
    scene = session.scene.with_open(opened).showing(look.layer)
    found = selection_of(
        look.model_copy(update={"against": against}),
        session.selection.sample if sample is None else sample,
        scene.capture,
    )
    later, found = _asked(session, found)
    check_shown(scene, found)
    session.show(scene, found, scene.duration if look.time is None else look.time)
    if sample is None:
        session.choose(position)
    if later.target is not None:
        session.choices.explain(later.target)
    if later.quantity is not None:
        session.choices.show(later.quantity)


def _asked(session: Session, found: Selection) -> tuple[Selection, Selection]:
    """Split a selection: the quantity and the target for which the model is asked, and the rest.

    Raises
    ------
    SceneError
        If neither the capture nor the model has its target.
    """
    later = Selection()
    context, asks = session.scene.context, session.queries.can_ask
    if found.target is not None and not _explained(session, found.sample, found.target):
        if not asks:
            raise SceneError(f"look.target: {context.name_of(found.target)} was not explained.")
        later, found = replace(later, target=found.target), replace(found, target=None)
    if found.quantity in OF_GRADIENTS and asks and not context.has_gradients(found):
        later, found = replace(later, quantity=found.quantity), replace(found, quantity=None)
    return later, found


def _explained(session: Session, sample: int, target: Target) -> bool:
    return target in [one.target for one in session.scene.context.explanations(sample).targets]
