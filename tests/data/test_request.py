"""What the two processes say to each other survives JSON, and nonsense is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from nnviz3d.data.request import EVENT, CaptureRequest, Crashed, Finished, Notice, Progress, Refused


@pytest.mark.parametrize(
    "event",
    [
        Progress(stage="write", done=3, total=10),
        Notice(text="Said."),
        Finished(out=Path("run.zarr"), samples=1, nodes=9, seconds={"write": 0.5}),
        Refused(message="No."),
        Crashed(traceback="Traceback"),
    ],
)
def test_events(event):
    assert EVENT.validate_json(event.model_dump_json()) == event


def test_requests():
    request = CaptureRequest(
        model="keras:VGG16", out=Path("run.zarr"), inputs=("a.png",), weights="none", preprocess="tf"
    )
    assert CaptureRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"preprocess": "zoom"}, {"top_k": 0}])
def test_nonsense(wrong):
    with pytest.raises(ValidationError):
        CaptureRequest(model="m.keras", out=Path("run.zarr"), **wrong)
