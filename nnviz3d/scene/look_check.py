"""Make a selection of a look, and refuse what the capture or the scene does not have, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.printable import printable
from nnviz3d.data.quantities import OF_GRADIENTS
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.target_words import find_target
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.blocks import value_at
from nnviz3d.scene.views.channels import unfolds
from nnviz3d.scene.views.points.columns import OWN
from nnviz3d.scene.views.points.embedding import EmbeddingView

_NO_OPTIONS: Mapping[str, str] = {}


def selection_of(
    look: LookSpec, sample: int, capture: CaptureReader, options: Mapping[str, str] = _NO_OPTIONS
) -> Selection:
    """Return the selection that a look describes, for a sample of a capture.

    Parameters
    ----------
    options
        Names for error messages of those fields that the user gave as options: ``{"layer": "--layer"}``. The others are
        named as in a scene file, ``look.layer``.

    Raises
    ------
    UserError
        If the look names something that the capture does not hold.
    """
    where = {name: options.get(name, f"look.{name}") for name in LookSpec.model_fields}
    # A saved look may name a group of layers, which only the scene knows.
    if look.layer is not None and "layer" in options and look.layer not in capture.graph:
        names = printable(", ".join(node.id for node in capture.graph), None)
        raise UserError(f"{where['layer']}: there is no layer {quoted(look.layer)!r}; the model has {names}.")
    if look.threshold is not None and not 0 <= look.threshold <= 1:
        raise UserError(f"{where['threshold']} is a share of the colour range, 0 to 1; got {look.threshold:g}.")
    if look.colormap is not None:
        colormap(look.colormap)
    if look.against is not None and not 0 <= look.against < capture.committed:
        last = capture.committed - 1
        raise UserError(
            f"{where['against']}: there is no sample {look.against}; the capture holds samples 0 to {last}."
        )
    if look.step is not None:
        _check_step(look.step, capture, where["step"])
    target = None if look.target is None else find_target(look.target, capture.graph, capture.classes)
    return look.plain(Selection(sample, target=target))


def _check_step(step: int, capture: CaptureReader, where: str) -> None:
    """Refuse a training step that was not recorded."""
    training = capture.training
    if training is None or not len(training):
        raise UserError(
            f"{where}: {capture.path.name} holds no recorded training; record one with nnviz3d.TrainingRecorder."
        )
    first, last = training.steps[0], training.steps[-1]
    if not first <= step <= last:
        raise UserError(
            f"{where}: there is no step {step:,}; the training was recorded from step {first:,} to {last:,}."
        )


def scene_of(
    spec: SceneSpec,
    capture: CaptureReader,
    selection: Selection,
    *,
    aspect: float,
    trajectory: EmbeddingTrajectory | None = None,
) -> Scene:
    """Build a scene that shows a selection: the groups around the selected layer are open.

    Parameters
    ----------
    spec, capture, aspect, trajectory
        As in `Scene.build`.

    Raises
    ------
    SceneError
        If the scene cannot show the capture or the selection.
    """
    scene = Scene.build(spec, capture, aspect=aspect, trajectory=trajectory).showing(selection.layer)
    check_shown(scene, selection)
    return scene


def check_shown(scene: Scene, selection: Selection) -> None:
    """Refuse a selection of something that a scene does not show.

    Raises
    ------
    SceneError
        If a saved look names a layer, a number, an embedding, a method or a quantity that is not there.
    """
    if selection.layer is not None and scene.shown(selection.layer) is None:
        raise SceneError(f"look.layer: there is no layer {quoted(selection.layer)!r} in this scene.")
    if selection.unfold is not None and not (scene.blocks and unfolds(scene.context, selection.unfold)):
        raise SceneError(f"look.unfold: {quoted(selection.unfold)!r} is no layer whose channels can be unfolded here.")
    cloud = scene.find(EmbeddingView)
    if selection.embedding is not None and (cloud is None or selection.embedding not in cloud.names):
        raise SceneError(f"look.embedding: no points were placed by a layer {quoted(selection.embedding)!r}.")
    if cloud is not None:
        _check_points(cloud, selection)
    methods = attribution_methods(scene.capture.stored)
    if selection.method is not None and selection.method not in methods:
        held = f"; there are {', '.join(methods)}" if methods else ""
        raise SceneError(f"look.method: the capture holds no map by {quoted(selection.method)!r}{held}.")
    _check_quantity(scene, selection)
    if selection.pick is not None:
        _check_pick(scene, selection)


def _check_points(cloud: EmbeddingView, selection: Selection) -> None:
    """Refuse a column that the samples do not have, or a sample that is none of them."""
    columns, points = cloud.columns(selection), selection.points
    for where, name in (("colored_by", selection.colored_by), ("points.column", points.column)):
        if name and name not in (*OWN, *columns):
            listed = f"; the samples have {printable(', '.join(columns), None)}" if columns else ""
            raise SceneError(f"look.{where}: there is no column {quoted(name)!r}{listed}.")
    if points.chosen and points.chosen[-1] >= cloud.count(selection):
        raise SceneError(
            f"look.points.chosen: there is no sample {points.chosen[-1]}; there are {cloud.count(selection)}, from 0."
        )


def _check_quantity(scene: Scene, selection: Selection) -> None:
    view = next((one for one in scene.spec.views if isinstance(one, ActivationsSpec)), None)
    against = None if view is None else view.against
    compared = selection.against is not None or against is not None or scene.context.counterpart is not None
    if selection.quantity == "difference" and not compared:
        raise SceneError("look.quantity: a difference needs look.against, the sample that is subtracted.")
    if selection.quantity == "change" and not scene.context.explanations(selection.sample).interventions:
        raise SceneError(f"look.quantity: {scene.capture.path.name} holds no run of this sample with an intervention.")
    if selection.quantity in OF_GRADIENTS and not scene.context.has_gradients(selection):
        raise SceneError(f"look.quantity: {scene.capture.path.name} holds no gradients of this sample.")


def _check_pick(scene: Scene, selection: Selection) -> None:
    match selection.pick:
        case LayerPick(layer):
            known = layer in scene.context.plan.placements
        case CellPick(layer, index):
            known = (
                layer in scene.context.plan.placements
                and scene.context.capture.has_activations(layer)
                and value_at(scene.context, layer, index, selection.sample) is not None
            )
        case _:
            known = True
    if not known:
        layer = quoted(selection.pick.of_layer or "") if selection.pick is not None else ""
        raise SceneError(f"look.pick: this sample has no such number in a layer {layer!r} of this scene.")
