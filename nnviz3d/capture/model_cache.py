"""Models that stay loaded and traced between two captures, so that the second one is fast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property

import keras

from nnviz3d.capture.capture_model import capture_model, prepare_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.changed_part import LastRun, capture_changed_run
from nnviz3d.capture.inputs.aids import NO_AIDS, Aids, aids_of
from nnviz3d.capture.inputs.class_files import imagenet_classes, read_classes
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.output_part import capture_outputs
from nnviz3d.capture.programs.flat_program import Inputs, check_call, expected_inputs
from nnviz3d.capture.programs.runnable import RunnableModel
from nnviz3d.capture.programs.trace import TracedModel, with_axes
from nnviz3d.capture.request_loop import Report
from nnviz3d.data.files.paths import exists, is_folder, user_path
from nnviz3d.data.request import CaptureRequest, Finished, Notice, Progress
from nnviz3d.data.sample_sources import expand, needs_model, notices_on
from nnviz3d.data.source_names import joined_rows
from nnviz3d.errors import ModelError, SampleError, UserError


class CachedModel:
    """A model with results of its last capture that the next one can use.

    Parameters
    ----------
    loaded
        A Keras model, or a model of another runtime.
    inputs
        Inputs of a Keras model; by default those that it states.
    held
        Samples in memory; requests refer to them by their names, such as ``x[3]``.
    sources
        Names, for requests, of the samples that the model was given first; by default the names of those held.
    classes
        Names of the classes, for requests without a file of names.
    live
        Whether the model belongs to the caller, who may train it between two captures and needs its layers unchanged.

    Raises
    ------
    ModelError
        If the model was never built and no inputs are given.
    """

    def __init__(
        self,
        loaded: LoadedModel | RunnableModel,
        *,
        inputs: Inputs | None = None,
        held: Samples | None = None,
        sources: Sequence[str] = (),
        classes: Sequence[str] | None = None,
        live: bool = False,
    ) -> None:
        self.traced = _traced(loaded, inputs, live=live) if isinstance(loaded, LoadedModel) else loaded
        self.held = held
        self.sources = tuple(sources) or (held.names if held is not None else ())
        self._listed: dict[tuple[str, ...], list[str]] = {}
        self._last = LastRun()
        self.classes = (
            tuple(classes) if classes is not None else (imagenet_classes() if self.traced.loaded.imagenet else None)
        )

    @property
    def inputs(self) -> Inputs:
        """The inputs of a Keras model."""
        if not isinstance(self.traced, TracedModel):
            raise TypeError(f"{self.traced.loaded.name} is no Keras model")
        return self.traced.inputs

    def answer(self, request: CaptureRequest, report: Report) -> Finished:
        """Capture this model for a request; the model that the request names is ignored.

        Raises
        ------
        ModelError, SampleError
            If the samples cannot be read or do not fit, or the model cannot be traced or fails on them.
        UserError
            If the capture cannot be written.
        """
        classes = read_classes(request.classes) if request.classes else self.classes
        inputs = request.inputs if request.only is None else (self._one(request.inputs, request.only),)
        total = None
        if request.part is not None:
            inputs, total = self._part(request.inputs, *request.part)
        samples = self.samples(inputs, seed=request.seed, shapes=request.shapes)
        known = set() if self.held is None else set(self.held.names)
        for notice in notices_on([one for one in (*request.inputs, *request.insights.dataset) if one not in known]):
            report(Notice(text=notice))
        settings = CaptureSettings(
            out=request.out,
            preprocess=request.preprocess,
            classes=classes,
            all_weights=request.all_weights,
            top_k=request.top_k,
            seed=request.seed,
            transient=request.transient,
            notes=request.notes,
            keep=request.keep,
            float16=request.float16,
            insights=request.insights,
            is_part=request.part is not None,
        )
        if request.changed_only:
            return capture_changed_run(
                self.traced, samples, settings, report, self.samples, self._last, write=not request.prepare
            )
        if request.prepare:
            return prepare_model(self.traced, samples, settings, report)
        if request.outputs_only:
            finished = capture_outputs(self.traced, samples, settings, report, self.samples)
            return finished.model_copy(update={"total": total})
        finished = capture_model(self.traced, samples, settings, report, self.samples)
        return finished.model_copy(update={"total": total})

    def _part(self, inputs: Sequence[str], start: int, stop: int) -> tuple[tuple[str, ...], int]:
        """Return the sources of some samples, by their numbers among all samples of the inputs, and how many all are."""
        key = tuple(inputs)
        if key not in self._listed:  # a listing of a large folder takes long, and a worker captures many of its parts
            shapes = {spec.name: spec.accepted for spec in self.traced.specs}
            self._listed = {key: [one.source for one in expand(inputs, shapes=shapes)]}
        listed = self._listed[key]
        if not 0 <= start < min(stop, len(listed)):
            raise SampleError(f"There are no samples {start} to {stop - 1}; the input holds {len(listed)}, from 0.")
        return joined_rows(listed[start:stop]), len(listed)

    def _one(self, inputs: Sequence[str], position: int) -> str:
        """Return the source of the sample at a position among all samples of the inputs."""
        found = expand(inputs, shapes={spec.name: spec.accepted for spec in self.traced.specs})
        if not 0 <= position < len(found):
            raise SampleError(
                f"There is no sample {position}; the input holds {len(found)} sample{'s' * (len(found) != 1)}, from 0."
            )
        return found[position].source

    def samples(self, sources: Sequence[str], *, seed: int = 0, shapes: Sequence[tuple[int, ...]] = ()) -> Samples:
        """Read samples for this model; see `read_samples`."""
        held = set() if self.held is None else set(self.held.names)
        needed = any(needs_model(source) for source in sources or ("random",) if source not in held)
        aids = self._aids if needed else NO_AIDS
        return read_samples(sources, self.traced.specs, seed=seed, aids=aids, shapes=shapes, held=self.held)

    @cached_property
    def _aids(self) -> Aids:
        """Facts about the model's inputs besides their shapes."""
        model = self.traced
        vocabulary = model.vocabulary
        return (
            aids_of(model.loaded.model, model.inputs, vocabulary)
            if isinstance(model, TracedModel)
            else Aids(vocabulary)
        )


def _traced(loaded: LoadedModel, inputs: Inputs | None, *, live: bool) -> RunnableModel:
    known = inputs or expected_inputs(loaded.model)
    if known is None:
        check_call(loaded.model)
        raise ModelError(
            f"{loaded.name} was never built, so it does not know its input's shape; call it once on data before it "
            "is saved, or pass an array in Python: nnviz3d.capture(model, x)."
        )
    return TracedModel(loaded, with_axes(loaded.model, known), live=live)


class ModelCache:
    """Loads the model that a request names, and keeps it, because the next request is nearly always for the same model.

    Needs a process of its own: it seeds all random generators and clears Keras' global state. So every capture is
    bit-identical to the first capture of a new process.
    """

    def __init__(self) -> None:
        self._kept: CachedModel | None = None
        self._key: object = None

    def capture(self, request: CaptureRequest, report: Report) -> Finished:
        """Execute a request.

        Raises
        ------
        UserError
            As `load_model` and `CachedModel.answer`.
        """
        started = time.perf_counter()
        kept = self._get(request, report)
        spent = round(time.perf_counter() - started, 4)
        try:
            finished = kept.answer(request, report)
        except UserError:
            raise
        except BaseException:
            self._forget()  # its state is unknown
            raise
        return finished.model_copy(update={"seconds": {"load": spent, **finished.seconds}})

    def _get(self, request: CaptureRequest, report: Report) -> CachedModel:
        key = (
            request.model,
            request.loading,
            request.seed,
            _state(request.model),
            _state(request.weights),
            _state(request.architecture),
        )
        # A model that is not known to be repeatable is loaded again, with the seeds of a new process.
        if self._kept is None or key != self._key or not self._kept.traced.repeatable:
            self._forget()
            keras.backend.clear_session()  # numbers in names such as input_layer_1 start from 0
            keras.utils.set_random_seed(request.seed)
            report(Progress(stage="load", done=0))
            loaded = load_model(request.model, request.loading)
            self._kept, self._key = CachedModel(loaded), key
        return self._kept

    def _forget(self) -> None:
        self._kept = self._key = None


def _state(source: str | None) -> tuple[tuple[str, int, int], ...]:
    """Return path, time and size of a file, or of all files in a folder, to detect changes without reading them."""
    if source is None:
        return ()
    path = user_path(source)
    if not exists(path, ModelError):
        return ()
    files = sorted(path.rglob("*")) if is_folder(path, ModelError) else [path]
    found = ((str(file.absolute()), file.stat()) for file in files if exists(file, ModelError))
    return tuple((name, status.st_mtime_ns, status.st_size) for name, status in found)
