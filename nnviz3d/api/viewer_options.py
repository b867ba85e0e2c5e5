"""Options that the viewer functions of the Python API share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.records import Ranking
from nnviz3d.data.request import Preprocessing
from nnviz3d.scene.spec import GroupsChoice, SceneSpec


class Options(TypedDict, total=False):
    """Options that `serve`, `show`, `record` and `snapshot` share.

    Attributes
    ----------
    scene
        The scene by which to show a model or a capture: a scene file, the name of a bundled scene, or a `SceneSpec`.
    sample
        Index of the sample, from 0.
    layer
        A layer to highlight.
    threshold
        Hide cells below this share of their layer's range, 0 to 1.
    colormap, normalize, ranking
        As the options of these names on the command line.
    groups
        Which blocks of layers are folded into one: ``auto`` from 40 nodes on, ``open`` none, ``closed`` all; by default the
        scene's choice.
    quantity
        The numbers that cells show: ``activation``, ``gradient`` of the target's score, ``gradient_x_activation`` (alias
        ``attribution``), ``difference``, the sample minus the one that `against` names, or ``change``, the run with the
        capture's interventions minus the run without.
    explain
        The target: a class by number or name, or any output's number, ``dense_1[5]``; by default the predicted class.
    method
        The attribution method whose map is shown: ``grad_cam``, ``integrated_gradients``, ...
    interventions
        What is changed in a second run of the model, by objects `Intervention`; the cells show the change unless
        `quantity` is given. Not paint, which `capture` takes.
    against
        What is subtracted: another model or capture with the same layers, as a path or an object, a model object only from
        a model object; or with ``quantity="difference"`` the index of a sample, from 0, not for a model object.
    side_by_side
        Whether the model that `against` names is drawn below the target, in place of the difference.
    step
        A step of a recorded training, shown by the last records up to it; by default the clock's step, or the last one.
    metadata
        A table about the samples of a data set, a .csv or .tsv file or a data frame: its columns colour and filter the
        points of an embedding.
    preprocess
        How pictures are prepared: ``tf``, ``torch``, ``caffe``, ``unit`` or ``none``.
    classes
        Names of the classes.
    labels
        ``(N,)`` integers: the true class of each sample, or ``(N, rows, columns, ...)``: its true output, such as a mask;
        for a model object.
    custom
        For a model file: classes and functions of yours that it needs, each as an object or as ``module:object``; their
        modules are imported again by the process that runs the model.
    weights, architecture, trust
        For a model file; as the options of these names on the command line.
    """

    scene: str | Path | SceneSpec
    sample: int
    layer: str
    threshold: float
    colormap: str
    normalize: Literal["layer", "global", "symmetric"]
    ranking: Ranking
    groups: GroupsChoice
    quantity: Quantity
    explain: int | str
    method: str
    interventions: Sequence[Intervention]
    against: Any
    side_by_side: bool
    step: int
    metadata: Any
    preprocess: Preprocessing
    classes: Iterable[str]
    labels: Any
    custom: Iterable[str | Callable[..., Any]]
    weights: str
    architecture: str | Path
    trust: bool
