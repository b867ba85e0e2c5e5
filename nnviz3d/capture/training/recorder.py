"""Recorder of a running training: a callback for `fit`, and a method for custom training loops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nnviz3d.capture.loading.model_kind import check_backend, check_model
from nnviz3d.capture.training.cadence import Schedule
from nnviz3d.capture.training.failures import failure
from nnviz3d.capture.training.fit_state import is_called_back
from nnviz3d.capture.training.loop_copies import LoopCopies, first_samples
from nnviz3d.capture.training.optimizer_updates import number
from nnviz3d.capture.training.pause import Pause
from nnviz3d.capture.training.probe import Loss
from nnviz3d.capture.training.recordable import RecordableParts, RequestedParts
from nnviz3d.capture.training.recorder_arguments import (
    check_folder,
    check_gradients,
    numbers_in,
    read_embedding,
    read_probes,
)
from nnviz3d.capture.training.recording import Recording
from nnviz3d.capture.training.train_step_hook import TrainStepHook, VariableCopies
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.locks import WriterLock, check_free
from nnviz3d.data.files.paths import user_path
from nnviz3d.data.printable import reason
from nnviz3d.data.training_epochs import VALIDATION
from nnviz3d.errors import ModelError, UserError

_NO_PROBES = (
    "There are no probe samples, because the first batch holds none of one shape and of plain numbers, so activations are "
    "not recorded. Give TrainingRecorder probes=(x, y), or probes=0."
)


class RecordingCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records the steps of a training in a capture, without changing the training.

    >>> model.fit(x, y, callbacks=[nnviz3d.TrainingRecorder("run.zarr", every=10)])
    >>> nnviz3d.open_capture("run.zarr").training.statistic("gradient_norm")  # in another process, at any time

    It records the first step and the last one of `fit`, and between them as often as the time that a record takes allows:
    for about 3 % of the training's time, at most four times a second, and every 0.8 s as long as that takes less than 8 %,
    so that a page is up to date. With `every`, it records the first step and every step whose number is a multiple of
    `every`; steps count from 1, over all calls of `fit`. If one execution makes several steps (``steps_per_execution``),
    it records the last step of each execution with such a step. `nnviz3d.data.training.Training` describes the record of
    a step.

    If `fit` has validation data, its metrics are recorded at the end of each epoch, and a validation loss that rises while
    the training's falls is reported by a warning (`nnviz3d.analysis.overfitting`).

    With the same seeds, the weights are bit-identical with and without the recorder, however often it records. Its copies
    take twice the memory of the trainable weights.

    A problem (`nnviz3d.analysis.health`: vanishing or exploding gradients, dead or saturated units, NaN, updates that are
    too large or too small) is reported by a warning at the step where it is found, once for each layer. One NaN spreads to
    every layer within a step; its origin is known only if that step is recorded, as with ``every=1``.

    Parameters
    ----------
    path
        The capture to write, ``*.zarr``; an earlier capture there is replaced when the first step is recorded. It can be
        read from then on, also after Ctrl-C or a crash.
    every
        Number of steps from one record to the next; by default the cost of a record decides, as above.
    probes
        Samples whose activations, and gradients of the loss with respect to them, are recorded: ``(x, y)``, in the form
        of a batch for `fit`, or ``(x, None)``, without gradients; or the number of samples to take from the first batch,
        by default 8. With 0, activations are not recorded. If a sample has very many activations, fewer samples are used.
    probes_every
        Number of steps from one record of the probe samples' tensors to the next; at recorded steps only. By default 100
        with `every`; without it, at every recorded step, and more rarely once they take more than 2 GB.
    weights_every
        Number of steps from one record of all weights to the next; at recorded steps only. By default 500 with `every`;
        without it, at most every 5 s, and for at most 1 % of the training's time.
    classes
        Names of the classes.
    loss
        For custom training loops: a function of targets and outputs, whose mean is differentiated with respect to the
        probe samples' activations. By default the loss that the model was compiled with.
    embed
        A layer whose outputs are embedded as points, to show how classes separate: ``dense``. Its outputs for
        `embed_samples` are recorded as often as the probe samples' tensors.
    embed_samples
        The embedded samples, ``(x, y)`` as for `probes`, or ``(x, None)``; a few hundred.
    control
        Whether a page may ask the training to wait after its next step, to make single steps, and to go on. A step after
        which it waits is recorded with all parts. The training goes on within 15 s if the page is closed, and Ctrl-C ends
        it as usual.

    Raises
    ------
    UserError
        If the capture cannot be written there, or an argument is out of range.
    """

    def __init__(
        self,
        path: Path | str,
        every: int | None = None,
        probes: int | tuple[Any, Any] | None = None,
        *,
        probes_every: int | None = None,
        weights_every: int | None = None,
        classes: Iterable[str] | None = None,
        loss: Loss | None = None,
        embed: str | None = None,
        embed_samples: tuple[Any, Any] | None = None,
        control: bool = False,
    ) -> None:
        super().__init__()
        self.path = Path(path).absolute()
        check_folder(self.path)
        check_free(self.path)
        self._schedule = Schedule(every, probes_every, weights_every)
        self._take, self._given = read_probes(probes)
        self._requested = RequestedParts(
            self._given,
            loss,
            read_embedding(embed, embed_samples),
            tuple(map(str, classes)) if classes is not None else None,
        )
        self._pause = Pause(self.path) if control else None
        self._step = 0
        self._epoch = 0
        self._due = False
        self._next_due = False
        self._hook: TrainStepHook | None = None
        self._own = LoopCopies()
        self._parts: RecordableParts | None = None
        self._recording: Recording | None = None
        self._lock = WriterLock(self.path, self._at_work)
        self._training = False
        self._looping = False
        self._stopped = False
        self._said: set[str] = set()

    def set_model(self, model: keras.Model) -> None:
        """Prepare the recording of this model; Keras calls it."""
        self._follow(model)
        if self._hook is None:
            self._hook = TrainStepHook(model, self._take)
        self._hook.open()

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuse mistakes that are visible before the first step; Keras calls it."""
        self._training = True
        try:
            self._lock.take()
            if self._recording is None:
                # If Keras builds the model in the first step, the model is checked after that step.
                self._parts = RecordableParts.of(self.model, self._requested, strict=True) if self._is_told() else None
            else:
                self._safely(self._recording.check)
        except UserError:
            self._opened.close()
            self._lock.give_back()
            self._training = False
            raise

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Store the number of the epoch; Keras calls it."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the metrics of the validation data, if there are any; Keras calls it."""
        self.end_epoch(epoch, logs or {})

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Request copies if one of the next steps is to be recorded; Keras calls it."""
        self._safely(lambda: self._ask(batch))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the finished step if it is due; Keras calls it."""
        self._safely(lambda: self._take_step(logs))

    def on_train_end(self, logs: Any = None) -> None:
        """Restore the model; Keras calls it."""
        self._training = False
        self._opened.close()
        self.close()

    def step(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        *,
        loss: Any = None,
        grads: Sequence[Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        learning_rate: float | None = None,
        optimizer: Any = None,
        epoch: int = 0,
    ) -> None:
        """Count a step of a custom training loop after its update, and record the step if it is due.

        Call it after every step, because the recorder has no other way to count steps. Update ratios are known from the
        second step on, because the weights before the first step are not known.

        Parameters
        ----------
        x, y
            The batch. The probe samples are taken from the first one unless they were given.
        loss
            Loss of the batch.
        grads
            Unscaled gradients, one for each of ``model.trainable_variables``; without them there are no gradient norms.
        metrics
            Other numbers to record, by name; the names must be the same at each step.
        learning_rate
            By default the optimizer's learning rate.
        optimizer
            The loop's optimizer, if it is a Keras optimizer; from it the recorder knows at which steps weights are
            updated. By default the optimizer that the model was compiled with, if any.

        Raises
        ------
        UserError
            Only in the first step: if a requested part cannot be recorded. Later problems are warnings.
        """
        if self._step == 0:
            self._begin_loop(model, grads)
        self._step += 1
        optimizer = getattr(model, "optimizer", None) if optimizer is None else optimizer

        def record() -> None:
            variables = model.trainable_variables
            if self._next_due or self._step == 1:
                ratios = bool(self._own.held)
                if not ratios:
                    self._own.remember(variables)
                self._own.allocate(variables)
                self._own.hold(model, grads, optimizer, self._step)
                probes = self._given or (first_samples(x, y, self._take) if self._take else None)
                rate = getattr(optimizer, "learning_rate", np.nan) if learning_rate is None else learning_rate
                scalars = {
                    "epoch": epoch,
                    "loss": np.nan if loss is None else float(loss),
                    "learning_rate": float(rate),
                }
                told = {"gradients": grads is not None, "ratios": ratios}
                self._record(self._own.held, probes, scalars, metrics, made=self._step, **told)
            self._look_for_pause()
            self._next_due = not self._stopped and self._schedule.is_due("steps", self._step + 1)
            if self._next_due:
                self._own.expect_step(variables, optimizer)

        self._safely(record)

    def end_epoch(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Record metrics of the validation data at the end of an epoch of a custom training loop; `fit` does it by itself.

        Parameters
        ----------
        epoch
            The epoch, from 0.
        metrics
            Numbers by name: those of the validation data begin with ``val_``, as ``val_loss``; the others are means over
            the epoch, as ``loss``. Without any of the validation data nothing is recorded.
        """
        told = numbers_in(metrics)

        def record() -> None:
            if self._recording is not None and any(name.startswith(VALIDATION) for name in told):
                sentence = self._recording.end_epoch(self._step, epoch, told)
                if sentence:
                    self._warn_once(sentence)

        self._safely(record)

    def close(self) -> None:
        """Mark the capture as finished, after a custom training loop. Further steps may still be recorded."""
        self._looping = False
        if self._recording is not None:
            self._safely(self._recording.finish)
        self._lock.give_back()

    def to_tensorboard(self, folder: Path | str) -> Path:
        """Write the training, as far as it is recorded, as event files for ``tensorboard --logdir FOLDER``.

        ``train`` and ``validation`` are runs in the folder. Files that an earlier call wrote there are replaced, those of
        other programs stay.

        Returns
        -------
        The folder.

        Raises
        ------
        UserError
            If nothing was recorded, or the folder cannot be written.
        """
        from nnviz3d.capture.training.tensorboard import write_events

        training = open_capture(self.path).training
        if training is None:
            raise UserError(f"{self.path} holds no training.")
        return write_events(training, user_path(folder))

    @property
    def has_recorded(self) -> bool:
        """Whether a step was recorded, so that the capture exists."""
        return self._recording is not None

    def on_step_recorded(self) -> None:
        """Do something after a recorded step; for subclasses."""

    @property
    def _opened(self) -> TrainStepHook:
        if self._hook is None:
            raise ModelError("TrainingRecorder has no model yet; pass it to fit in callbacks, or call its step().")
        return self._hook

    def _follow(self, model: keras.Model) -> None:
        check_model(model)
        check_backend("TrainingRecorder")
        if self.model is not None and self.model is not model:
            raise ModelError(
                f"{self.path} records {self.model.name!r}; give {model.name!r} a TrainingRecorder of its own."
            )
        super().set_model(model)

    def _record(
        self,
        held: Mapping[int, VariableCopies],
        probes: tuple[Any, Any] | None,
        scalars: Mapping[str, float],
        metrics: Mapping[str, Any] | None,
        *,
        made: int | None = None,
        gradients: bool = True,
        ratios: bool = True,
    ) -> None:
        due, asked = self._schedule.due(self._step), self._schedule.asked
        told = numbers_in(metrics or {})
        if self._recording is None:
            self._recording = self._begin(held, probes, tuple(told))
        said = self._recording.write(
            {"step": self._step, **scalars},
            told,
            made=made,
            gradients=gradients,
            ratios=ratios,
            probes="probes" in due,
            weights="weights" in due,
        )
        for sentence in said:
            warnings.warn(sentence, stacklevel=2)
        self._schedule.recorded(self._step, due, self._recording.seconds, self._recording.sizes)
        self.on_step_recorded()
        if asked:
            self._recording.wait()

    def _look_for_pause(self) -> None:
        """Let the next step be recorded with all parts, if a page asks the training to wait after it."""
        if self._pause is not None and self._recording is not None:
            self._schedule.asked = self._pause.is_asked()

    def _begin(
        self, held: Mapping[int, VariableCopies], probes: tuple[Any, Any] | None, metrics: tuple[str, ...]
    ) -> Recording:
        """Create the recording."""
        parts = self._parts
        if parts is None or (parts.probe is None and probes is not None):
            requested = replace(self._requested, probes=probes)
            parts = RecordableParts.of(self.model, requested, strict=False, before=parts)
        self._parts = None
        self._lock.take()
        recording = Recording(
            self.path,
            self.model,
            held,
            parts,
            metrics,
            classes=self._requested.classes,
            lock=self._lock,
            cadence=self._schedule.note,
            pause=self._pause,
        )
        if probes is None and self._take:
            warnings.warn(_NO_PROBES, stacklevel=2)
        for note in recording.notes:
            warnings.warn(note, stacklevel=2)
        return recording

    def _ask(self, batch: int) -> None:
        if self._recording is not None:
            self._recording.check()
        self._schedule.mark_end(self._is_last(batch))
        self._look_for_pause()
        due = not self._stopped and self._schedule.is_due("steps", self._step + self.model.steps_per_execution)
        if due != self._due:
            self._due = due
            self._opened.on.assign(due)

    def _is_last(self, batch: int) -> bool:
        """Whether the execution that begins with this batch is the last one of `fit`, as far as Keras knows."""
        epochs, steps = self.params.get("epochs"), self.params.get("steps")
        known = isinstance(epochs, int) and isinstance(steps, int)
        return known and self._epoch >= epochs - 1 and batch + self.model.steps_per_execution >= steps

    def _take_step(self, logs: Mapping[str, Any] | None) -> None:
        hook = self._opened
        # An epoch's last execution may hold fewer steps than the others.
        made = int(number(hook.steps))
        self._step = made if self.model.steps_per_execution > 1 else self._step + 1
        for what, error in hook.failures.items():
            self._warn_once(failure(what, self._step, error))
        if not self._due or self._stopped or not self._schedule.is_due("steps", self._step):
            return
        probes = self._given or (hook.batch.read() if hook.batch is not None else None)
        self._record(hook.held, probes, {"epoch": self._epoch, **hook.scalars()}, logs, made=made - 1)

    def _begin_loop(self, model: keras.Model, grads: Sequence[Any] | None) -> None:
        """Refuse mistakes that are visible at the first step of a custom training loop."""
        self._follow(model)
        check_gradients(model, grads)
        try:
            self._lock.take()
            self._parts = RecordableParts.of(model, self._requested, strict=True) if self._is_told() else None
        except UserError:
            self._lock.give_back()
            raise
        self._looping = True

    def _is_told(self) -> bool:
        """Whether the requested recording can be checked before the first step."""
        return bool(self.model.built) and (self._given is not None or self._requested.embed is not None)

    def _at_work(self) -> bool:
        return self._looping or (self._training and is_called_back(self))

    def _safely(self, work: Callable[[], object]) -> None:
        """Run a part of the recording without risk to the training: a failure ends the recording, with one warning."""
        if self._stopped:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - any error becomes a warning, and the training continues
            self._stopped = True
            self._lock.give_back()
            if self._hook is not None:
                self._hook.on.assign(False)
            why = f"{error.strerror}." if isinstance(error, OSError) and error.strerror else reason(error)
            self._warn_once(f"From step {self._step:,} on, the training is no longer recorded: {why}")

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            warnings.warn(sentence, stacklevel=2)
