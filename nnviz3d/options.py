"""Options that commands share, by group. Importing them loads no large library, because ``--help`` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import CoercionError, Group, Parameter, Token, convert

from nnviz3d.data.quantities import OF_GRADIENTS, Quantity, canonical
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    from nnviz3d.apps.open_target import Opened
    from nnviz3d.apps.target import ModelOptions
    from nnviz3d.cluster.connection import ClusterOptions
    from nnviz3d.data.capabilities.interventions import Intervention
    from nnviz3d.data.request import Insights
    from nnviz3d.scene.selection import Selection


def given(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert an option to one type of its union; ``none`` does not mean left out, and 2.5 is not rounded to 2."""
    if kind is NoneType:
        raise CoercionError(target_type=kind)
    value = convert(kind, tokens)
    if kind is int and "." in tokens[0].value and float(tokens[0].value) != value:  # `convert` rounds
        raise CoercionError(msg=f"{tokens[0].value} is no whole number.", token=tokens[0])
    return value


SHOWN_ACTIONS = ("mute", "scale", "freeze")
"""Actions of interventions that commands with a viewer have options for; ``capture`` has one for paint, too."""
OPTIONAL = Parameter(converter=given)
"""Mark of an option that may be left out."""


def _quantity(kind: Any, tokens: Sequence[Token]) -> Any:
    """Read a quantity, by its name or an alias."""
    return given(kind, [token.evolve(value=canonical(token.value)) for token in tokens])


def _subtracted(_kind: Any, tokens: Sequence[Token]) -> int | str:
    """Read a sample's number, or else the name of a model or a capture."""
    value = tokens[0].value
    try:
        return int(value)
    except ValueError:
        return value


_MODEL = Group("Model", sort_key=2)
_STORED = Group("Size", sort_key=3)
_LOOK = Group("Look", sort_key=4)
_CLUSTER = Group("Cluster", sort_key=5)
_Switch = Annotated[bool, Parameter(negative=())]

Preprocess = Literal["tf", "torch", "caffe", "unit", "none"]


_INPUT = (
    "Pictures, .wav, folders of them (class folders give labels), .npy, .npz, .csv (columns by name), .txt (a text a "
    "line), rows of those (x.csv[3:10]), a sentence (text:WORD), digits:N, sklearn:NAME or random; NAME=FILE for each of "
    "several inputs; may be repeated."
)


_AGAINST = (
    "A model, checkpoint or capture with the same layers, b.keras or b.zarr: the cells show TARGET minus it. With "
    "--quantity difference also another sample, counted from 0."
)


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class Model:
    """Options for a target that is a model."""

    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], negative=(), help=_INPUT)] = ()
    preprocess: Annotated[Preprocess | None, OPTIONAL] = None
    """Preprocessing of pictures; by default that of the model's training, which the command prints."""
    weights: str | None = None
    """For keras:NAME: imagenet (the default), none, or a file. For any model: all, to keep every weight."""
    classes: Path | None = None
    """A text file with one class name on each line."""
    trust: _Switch = False
    """Run code that the model file carries, such as Lambda layers. Only for files from people you trust."""
    custom: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """A class or function that a model file needs, MODULE:NAME; its module is imported. May be repeated."""
    architecture: Annotated[str | None, OPTIONAL] = None
    """For a file of weights, .weights.h5: the file with the architecture, .json or .keras."""
    limit: Annotated[float | None, OPTIONAL] = None
    """Limit in gigabytes of memory for reading one file; by default 2."""

    def options(self, of_capture: str | None = None) -> ModelOptions:
        """Return the options that describe the model, and set the memory limit for this process and its child processes.

        Parameters
        ----------
        of_capture
            The model of a target that is a ready capture.

        Raises
        ------
        UserError
            If the limit is not a positive number.
        """
        from nnviz3d.apps.target import ModelOptions
        from nnviz3d.data.files.memory_limit import set_limit

        if self.limit is not None:
            set_limit(self.limit)
        return ModelOptions(
            self.input,
            self.preprocess,
            self.weights,
            self.classes,
            self.trust,
            self.custom,
            self.architecture,
            of_capture,
        )


_OF_CAPTURE = (
    "The model of a TARGET that is a capture: it computes on demand what the capture lacks, and keeps in it what belongs "
    "to the model. --input then names further samples, or tells where the captured ones are."
)
ModelOfCapture = Annotated[str | None, Parameter(name="--model", group=_MODEL, help=_OF_CAPTURE)]
"""The option of commands with a session that names the model of a ready capture."""


@Parameter(name="*", group=_STORED)
@dataclass(frozen=True)
class Stored:
    """Options for what a capture holds."""

    keep: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Store the numbers of these layers only, by names or patterns such as 'conv*', and those of the model's inputs and
    outputs; may be repeated."""
    float16: _Switch = False
    """Round the numbers of layers, and gradients by them, to float16: half the size, and about three digits."""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a request that the options set."""
        return {"keep": self.keep, "float16": self.float16}


@Parameter(name="*", group=_LOOK)
@dataclass(frozen=True)
class Look:
    """Options for what is shown, and how it is shown."""

    scene: str | None = None
    """The scene (a .toml file or a bundled one) that shows a model or a capture."""
    sample: Annotated[int | None, OPTIONAL] = None
    """The captured sample to show, counted from 0."""
    layer: str | None = None
    """The layer to highlight."""
    threshold: Annotated[float | None, OPTIONAL] = None
    """Hide cells below this share of their layer's range, 0 to 1."""
    colormap: str | None = None
    """inferno, magma, plasma, viridis, cividis, gray; or ember-ice, berlin, managua, vanimo for signed numbers."""
    normalize: Annotated[Literal["layer", "global", "symmetric"] | None, OPTIONAL] = None
    """A colour scale for each layer, one for all, or a symmetric one for each layer."""
    ranking: Annotated[Literal["weight", "contribution"] | None, OPTIONAL] = None
    """The measure of the strongest connections: |weight|, or |weight x activation|."""
    quantity: Annotated[Quantity | None, Parameter(converter=_quantity)] = None
    """The numbers that cells show: difference is --sample minus --against, change is what interventions change."""
    class_: Annotated[str | None, Parameter(name="--class")] = None
    """The target to explain: a class by number or name, any output's number, dense_1[5], or a part, mask[2:9,4:8,1]."""
    method: str | None = None
    """The attribution method whose map is shown: grad_cam, integrated_gradients, occlusion, ..."""
    against: Annotated[int | str | None, Parameter(converter=_subtracted, help=_AGAINST)] = None
    side_by_side: _Switch = False
    """Draw the model that --against names below TARGET, with one camera for both, and not their difference."""
    step: Annotated[int | None, OPTIONAL] = None
    """A step of a recorded training, shown by the last records up to it; by default the clock's step, or the last one."""
    groups: Annotated[Literal["auto", "open", "closed"] | None, OPTIONAL] = None
    """Blocks of layers folded into one: auto (from 40 nodes on), open (none), or closed (all); by default the scene's."""
    mute: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = ()
    """Run the model again with numbers set to 0, and show the change: conv2d, conv2d[3], conv2d[0,5,3], 'conv2d->dense'."""
    scale: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = ()
    """As --mute, with numbers multiplied, as in 'conv2d[3]=0.5'."""
    freeze: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = ()
    """As --mute, with numbers that keep their values, whatever changes before them."""
    dataset: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """The data set that the scene shows or a click computes from, named as inputs are; by default the input itself."""
    metadata: Annotated[Path | None, OPTIONAL] = None
    """A table about the samples of the data set, .csv or .tsv, a line for each: its columns colour and filter points."""

    @property
    def whole(self) -> bool:
        """Whether all samples of a model are captured, because two of them are compared."""
        return self.quantity == "difference" and self.other is None

    @property
    def other(self) -> str | None:
        """The model or capture that is compared with the target; `None` if `against` is a sample."""
        return self.against if isinstance(self.against, str) else None

    def interventions(self) -> tuple[Intervention, ...]:
        """Return what is changed in a second run of the model.

        Raises
        ------
        UserError
            If an option is no place in a network, or has no factor.
        """
        given = {action: getattr(self, action) for action in SHOWN_ACTIONS}
        if not any(given.values()):
            return ()
        from nnviz3d.data.capabilities.interventions import InterventionOptions

        return InterventionOptions(**given).interventions()

    def chosen(self) -> dict[str, Any]:
        """Return the given options that change the look of a scene file, by the names of its fields.

        Interventions are seen by what they change, unless a quantity is given, or two models are compared.
        """
        names = ("layer", "threshold", "colormap", "normalize", "ranking", "quantity", "method", "against", "step")
        fields = {**{name: getattr(self, name) for name in names}, "target": self.class_}
        changes = self.interventions()
        if changes:
            fields["interventions"] = tuple(one.text for one in changes)
            fields["quantity"] = "change" if self.quantity is None and self.other is None else self.quantity
        if self.other is not None:
            fields = {**fields, "against": None}
        return {name: value for name, value in fields.items() if value is not None}

    def wanted(self) -> Insights:
        """Return the request that the options make.

        Raises
        ------
        UserError
            If the options contradict each other.
        """
        from nnviz3d.data.request import Insights

        if self.side_by_side and self.other is None:
            raise UserError("--side-by-side draws two models; name the other one: --against b.keras.")
        if self.other is None and (self.against is None) == self.whole:
            raise UserError(
                "--quantity difference and --against go together: the cells show --sample minus the sample --against N; "
                "--against b.keras alone subtracts another model."
            )
        wanted = Insights(
            targets=() if self.class_ is None else (self.class_,),
            gradients=self.quantity in OF_GRADIENTS,
            attributions=() if self.method is None else (self.method,),
            dataset=self.dataset,
        )
        changes = self.interventions()
        return wanted.plus(Insights(interventions=changes)) if changes else wanted


@Parameter(name="*", group=_CLUSTER)
@dataclass(frozen=True)
class Cluster:
    """Options for work on several processes or machines."""

    cluster: str | None = None
    """Work on a running Dask cluster: the address of its scheduler, such as tcp://10.0.0.5:8786."""
    workers: Annotated[int | None, OPTIONAL] = None
    """Work on this many processes of this machine, by Dask."""

    def options(self) -> ClusterOptions | None:
        """Return the cluster to work on; `None` to work in one process.

        Raises
        ------
        UserError
            If the options contradict each other.
        """
        if self.cluster is None and self.workers is None:
            return None
        from nnviz3d.cluster.connection import ClusterOptions

        options = ClusterOptions(self.cluster, self.workers)
        options.check()
        return options


NO_CLUSTER = Cluster()
NO_MODEL = Model()
ALL_STORED = Stored()
NO_LOOK = Look()


def selection_of(look: Look, found: Opened) -> Selection:
    """Return the selection that the options and the saved look of a scene file request; the options win.

    Raises
    ------
    UserError
        If an option or the file names something that the capture does not hold.
    """
    from nnviz3d.scene.look_check import selection_of as select

    options = {name: "--class" if name == "target" else f"--{name}" for name in look.chosen()}
    return select(found.spec.look, found.sample, found.capture, options)
