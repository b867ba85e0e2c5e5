"""The view of a session as a value, and showing such a value in a session."""

from __future__ import annotations

from dataclasses import replace

from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.perspectives import State
from nnviz3d.apps.saved_scene import look_of
from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.interventions import Intervention
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
    changes = tuple(one.text for one in session.interventions.listed if one.in_words)
    return ViewState(
        perspective=None if perspectives.current == perspectives.first else perspectives.current,
        sample=samples.chosen,
        look=look.model_copy(update={"against": against, "interventions": changes or None}),
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
        _show(session, view.model_copy(update={"look": _until_computed(view.look)}))
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


def _until_computed(look: LookSpec) -> LookSpec:
    """Return the part of a look that is shown before the model has computed a perspective."""
    return LookSpec(layer=look.layer, pick=look.pick, interventions=look.interventions)


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
    changes = _other_changes(session, position, look)
    later, found = _asked(session, found, changes is not None)
    check_shown(scene, found)
    session.show(scene, found, scene.duration if look.time is None else look.time)
    if changes is not None and sample is None:
        session.choose_changed(position, changes, look.quantity)
    elif changes is not None:
        session.interventions.change_to(changes, look.quantity)
    elif sample is None:
        session.choose(position)
    if later.target is not None:
        session.choices.explain(later.target)
    if later.quantity is not None:
        session.choices.show(later.quantity)


def _other_changes(session: Session, position: int, look: LookSpec) -> tuple[Intervention, ...] | None:
    """Return the interventions of a look if the shown run of a sample has other ones, else `None`.

    Raises
    ------
    SceneError
        If there is no model to run with them.
    """
    if look.interventions is None:
        return None
    changes, sample = tuple(map(Intervention.of_text, look.interventions)), session.samples[position]
    known: tuple[Intervention, ...] = ()
    if position == session.samples.chosen and not session.queries.waits_for_change:
        known = session.interventions.listed
    elif sample.index is not None:
        known = session.scene.context.capture.explanations(sample.index).interventions
    if changes == tuple(one for one in known if one.in_words):
        return None
    if sample.source is None or not session.queries.can_ask:
        raise SceneError(f"look.interventions: there is no model to run with them; {NAME_IT}.")
    return changes


def _asked(session: Session, found: Selection, changes: bool) -> tuple[Selection, Selection]:
    """Split a selection: the quantity and the target for which the model is asked, and the rest.

    Parameters
    ----------
    changes
        Whether the model is asked for a run with interventions.

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
    if changes and found.quantity == "change":
        found = replace(found, quantity=None)  # until the run arrives
    return later, found


def _explained(session: Session, sample: int, target: Target) -> bool:
    return target in [one.target for one in session.scene.context.explanations(sample).targets]
