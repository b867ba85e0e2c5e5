"""Open the model or capture with which a target is compared, and match its numbers with those of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.apps.target import ModelOptions, ResolvedTarget, resolve
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.counterpart import Counterpart, told_apart
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import NOTHING_MORE, CaptureRequest
from nnviz3d.errors import UserError
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.views.activations import ActivationsSpec


@dataclass(frozen=True)
class Compared:
    """The model or capture with which a target is compared, not opened yet.

    Attributes
    ----------
    name
        Its name on the command line; `None` if only the scene file may name one.
    run
        Captures its model and shows the progress.
    worker
        Runs its model on further samples while the scene is shown; `None` if there is no need.
    """

    name: str | None
    run: Callable[[CaptureRequest], object]
    worker: Worker | None = None

    def found(self, target: ResolvedTarget, shown: str) -> Other | None:
        """Find out what it is, without opening a large file; `None` if the target is compared with nothing.

        Parameters
        ----------
        target
            The target with which it is compared.
        shown
            The name of the target.

        Raises
        ------
        UserError
            If there is no such model or capture, or it cannot be run on the target's samples.
        """
        name = target.against if self.name is None else self.name
        if name is None:
            return None
        found = resolve(name, None, ModelOptions())
        if found.capture is None and target.model is None:
            raise UserError(
                f"--against {name} is a model, and {shown} holds no model to run beside it; capture it on the same "
                f"input: nnviz3d capture {name} --input INPUT -o other.zarr, and give --against other.zarr."
            )
        return Other(name, found.capture, found.model, self.run, self.worker)


@dataclass(frozen=True)
class Other:
    """The model or capture with which a target is compared: its `capture`, or else its `model`.

    Attributes
    ----------
    name, run, worker
        As in `Compared`.
    """

    name: str
    capture: Path | None
    model: str | None
    run: Callable[[CaptureRequest], object]
    worker: Worker | None

    @property
    def runs(self) -> bool:
        """Whether the model is run, because there is no capture of it."""
        return self.capture is None

    def captured(self, request: CaptureRequest, folder: Path) -> CaptureReader:
        """Open its capture; a model is first captured on the samples of the target.

        Parameters
        ----------
        request
            The request by which the target was captured.
        folder
            Where the capture is written.
        """
        if self.capture is not None:
            return open_capture(self.capture)
        own = self.request(request, folder / "other.zarr")
        self.run(own)
        return open_capture(own.out)

    def request(self, request: CaptureRequest, out: Path) -> CaptureRequest:
        """Return a request of the target for this model: the same samples, and nothing beyond the forward pass."""
        return request.model_copy(update={"model": self.model, "out": out, "insights": NOTHING_MORE})

    def beside(self, capture: CaptureReader, other: CaptureReader, shown: str) -> CaptureSeries:
        """Return the target's capture with the numbers that are subtracted from it.

        Parameters
        ----------
        other
            Capture of this model.
        shown
            Path or name of what the capture is of, which tells it from a capture of a model of the same name.

        Raises
        ------
        CaptureError
            If the graphs differ, or they have no sample in common.
        """
        sides = capture.provenance, other.provenance
        models = sides[0].model, sides[1].model
        of_files = all(side.sha256 is not None for side in sides) and models[0] != models[1]
        names = models if of_files else told_apart(shown, self.name)
        counterpart = Counterpart.of(capture, other, names, self.name)
        return CaptureSeries.of(capture).compared(counterpart)


def joined(
    captures: Sequence[CaptureReader], others: Sequence[CaptureReader | None], names: tuple[str, str, str] | None
) -> CaptureReader:
    """Return captures of one model as one reader, each with the compared model's capture of its samples.

    Parameters
    ----------
    others
        The compared model's capture for each capture; `None`, or nothing at the end, where there is none.
    names
        `own_name`, `name` and `source` of the counterpart; `None` if no model is compared.

    Raises
    ------
    CaptureError
        If the captures are not of one model, or the graphs of both models differ.
    """
    first, *later = captures
    if not later and names is None:
        return first
    series = CaptureSeries.of(first)
    beside = [*others, *[None] * (len(captures) - len(others))]
    if names is not None and beside[0] is not None:
        series = series.compared(Counterpart.of(first, beside[0], names[:2], names[2]))
    for capture, other in zip(later, beside[1:], strict=True):
        series = series.plus(capture, other)
    return series


def names_of(series: CaptureSeries) -> tuple[str, str, str] | None:
    """Return the names by which `joined` compares the same models again."""
    other = series.counterpart
    return None if other is None else (other.own_name, other.name, other.source)


def with_counterpart_of(capture: CaptureReader, before: CaptureReader) -> CaptureReader:
    """Return a newer reader of a capture with the numbers that the earlier one is compared with."""
    if not isinstance(before, CaptureSeries) or before.counterpart is None:
        return capture
    return CaptureSeries.of(capture).compared(before.counterpart)


def subtracting_models(spec: SceneSpec) -> SceneSpec:
    """Return a scene whose cells show the difference from the other model, unless another quantity was chosen.

    In a scene that draws both networks they show the activations.
    A sample that the scene file subtracts does not count.
    """
    quantity = spec.look.quantity or (None if any(view.kind == "counterpart" for view in spec.views) else "difference")
    views = tuple(
        view.model_copy(update={"against": None}) if isinstance(view, ActivationsSpec) else view for view in spec.views
    )
    look = spec.look.model_copy(update={"against": None, "quantity": quantity})
    return spec.model_copy(update={"views": views, "look": look})
