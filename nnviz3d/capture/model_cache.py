"""Models that are kept between two captures, so that the second is quick."""

from __future__ import annotations

import time
from collections.abc import Sequence

import keras

from nnviz3d.capture.capture_model import CaptureSettings, capture_model
from nnviz3d.capture.inputs.class_files import imagenet_classes, read_classes
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.loading.load import LoadedModel, load_model
from nnviz3d.capture.programs.flat_program import Inputs, expected_inputs
from nnviz3d.capture.programs.trace import TracedModel, with_axes
from nnviz3d.capture.request_loop import Report
from nnviz3d.data.files.paths import exists, is_folder, user_path
from nnviz3d.data.request import CaptureRequest, Finished, Notice, Progress
from nnviz3d.data.sample_sources import expand, notices_on
from nnviz3d.errors import ModelError, SampleError, UserError


class KeptModel:
    """A model with all that its last capture found out and the next can use.

    Parameters
    ----------
    loaded
        The model.
    inputs
        What it takes; by default what it says itself.
    held
        Samples in memory, which requests call by their names, such as ``x[3]``.
    sources
        How requests name the samples that the model was given at first; by default the names of those held.
    classes
        Names of the classes, where requests name no file of them.
    live
        Whether the model belongs to somebody who may train it between two captures. Its layers have to stay.

    Raises
    ------
    ModelError
        If the model was never built and no inputs are given.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        inputs: Inputs | None = None,
        held: Samples | None = None,
        sources: Sequence[str] = (),
        classes: Sequence[str] | None = None,
        live: bool = False,
    ) -> None:
        known = inputs or expected_inputs(loaded.model)
        if known is None:
            raise ModelError(
                f"{loaded.name} was never built, so it does not know its input's shape; call it once on data before it "
                "is saved, or hand it an array in Python: nnviz3d.capture(model, x)."
            )
        self.traced = TracedModel(loaded, with_axes(loaded.model, known), live=live)
        self.held = held
        self.sources = tuple(sources) or (held.names if held is not None else ())
        self.classes = tuple(classes) if classes is not None else imagenet_classes() if loaded.imagenet else None

    def answer(self, request: CaptureRequest, report: Report) -> Finished:
        """Capture this model as a request says, whichever model it names.

        Raises
        ------
        ModelError, SampleError
            If the samples cannot be read or do not fit, or the model cannot be traced or fails on them.
        UserError
            If the capture cannot be written.
        """
        classes = read_classes(request.classes) if request.classes else self.classes
        inputs = request.inputs if request.only is None else (self._one(request.inputs, request.only),)
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
            insights=request.insights,
        )
        return capture_model(self.traced, samples, settings, report, self.samples)

    def _one(self, inputs: Sequence[str], position: int) -> str:
        """Find the source of one of all the samples that inputs hold."""
        found = expand(inputs, shapes={spec.name: spec.accepted for spec in self.traced.inputs.specs})
        if not 0 <= position < len(found):
            raise SampleError(
                f"There is no sample {position}; the input holds {len(found)} sample{'s' * (len(found) != 1)}, from 0."
            )
        return found[position].source

    def samples(self, sources: Sequence[str], *, seed: int = 0, shapes: Sequence[tuple[int, ...]] = ()) -> Samples:
        """Read samples for this model; see `read_samples`."""
        random = not sources or "random" in sources
        vocabulary = self.traced.vocabulary if random else {}
        specs = self.traced.inputs.specs
        return read_samples(sources, specs, seed=seed, vocabulary=vocabulary, shapes=shapes, held=self.held)


class LastModel:
    """Loads the model that a request names, and keeps it: the next request is nearly always for the same.

    For a process of its own: it seeds all random generators and clears what Keras remembers. So every capture is, bit
    for bit, what the first of a fresh process would be.
    """

    def __init__(self) -> None:
        self._kept: KeptModel | None = None
        self._key: object = None

    def capture(self, request: CaptureRequest, report: Report) -> Finished:
        """Do a request.

        Raises
        ------
        UserError
            As `load_model` and `KeptModel.answer`.
        """
        started = time.perf_counter()
        kept = self._get(request, report)
        spent = round(time.perf_counter() - started, 4)
        try:
            finished = kept.answer(request, report)
        except UserError:
            raise
        except BaseException:
            self._forget()  # nobody knows what state it is in
            raise
        return finished.model_copy(update={"seconds": {"load": spent, **finished.seconds}})

    def _get(self, request: CaptureRequest, report: Report) -> KeptModel:
        key = (
            request.model,
            request.weights,
            request.trust,
            request.seed,
            _state(request.model),
            _state(request.weights),
        )
        # What was never seen to be repeatable is loaded anew, with the seeds of a fresh process.
        if self._kept is None or key != self._key or not self._kept.traced.repeatable:
            self._forget()
            keras.backend.clear_session()  # names such as input_layer_1 start anew
            keras.utils.set_random_seed(request.seed)
            report(Progress(stage="load", done=0))
            loaded = load_model(request.model, weights=request.weights, trust=request.trust)
            self._kept, self._key = KeptModel(loaded), key
        return self._kept

    def _forget(self) -> None:
        self._kept = self._key = None


def _state(source: str | None) -> tuple[tuple[str, int, int], ...]:
    """Tell apart what stands in a file, or in the files of a folder, at different times, without reading it."""
    if source is None or source.startswith("keras:"):
        return ()
    path = user_path(source)
    files = sorted(path.rglob("*")) if is_folder(path, ModelError) else [path]
    found = ((str(file.absolute()), file.stat()) for file in files if exists(file, ModelError))
    return tuple((name, status.st_mtime_ns, status.st_size) for name, status in found)
