"""The request loop over streams in memory."""

import io
import threading
from pathlib import Path

import pytest

from nnviz3d.capture.request_loop import serve_requests
from nnviz3d.data.request import EVENT, CaptureRequest, Crashed, Finished, Notice, Refused, Working
from nnviz3d.errors import ModelError

DONE = Finished(out=Path("run.zarr"), samples=1, nodes=1, seconds={})


def ask(*models):
    lines = [CaptureRequest(model=model, out=Path("run.zarr")).model_dump_json() for model in models]
    return io.StringIO("".join(f"{line}\n" for line in lines))


def capture(request, report):
    """Finish, refuse, crash or interrupt, according to the model's name."""
    match request.model:
        case "refuse":
            raise ModelError("No.")
        case "fail":
            raise ZeroDivisionError
        case "interrupt":
            raise KeyboardInterrupt
    report(Notice(text=f"{request.model} is at work."))
    return DONE


def answers(read):
    write = io.StringIO()
    code = serve_requests(read, write, capture)
    return [EVENT.validate_json(line) for line in write.getvalue().splitlines()], code


def test_requests_are_answered_after_refused_and_crashed_ones():
    events, code = answers(ask("one", "refuse", "two", "fail", "three"))
    assert [type(event) for event in events] == [Notice, Finished, Refused, Notice, Finished, Crashed, Notice, Finished]
    assert events[2].message == "No."
    assert "ZeroDivisionError" in events[5].traceback
    assert code == 0


@pytest.mark.parametrize(("models", "code"), [((), 0), (("refuse",), 2), (("one", "fail"), 1), (("fail", "one"), 0)])
def test_exit_code_is_that_of_the_last_request(models, code):
    assert answers(ask(*models))[1] == code


def test_invalid_request_is_answered_and_the_loop_continues():
    read = io.StringIO('{"model": 3}\nhello\n' + ask("one").read())
    events, code = answers(read)
    assert [type(event) for event in events] == [Crashed, Crashed, Notice, Finished]
    assert "The request is not valid" in events[0].traceback
    assert code == 0


def test_long_request_sends_working_events():
    write, ended = io.StringIO(), threading.Event()

    def long(_request, _report):
        assert ended.wait(30)
        return DONE

    class Heard(io.StringIO):
        def write(self, said):
            if said.count("working"):
                ended.set()
            return write.write(said)

    assert serve_requests(ask("one"), Heard(), long, beat=0.01) == 0
    events = [EVENT.validate_json(line) for line in write.getvalue().splitlines()]
    assert {type(event) for event in events} == {Working, Finished}


def test_interrupt_ends_the_loop_with_130():
    read = ask("one", "interrupt", "two")
    events, code = answers(read)
    assert [type(event) for event in events] == [Notice, Finished]
    assert code == 130


def test_request_is_interrupted_when_the_reader_of_answers_is_gone():
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    finished = []

    def work(request, report):
        report(Notice(text="Begun."))
        finished.append(request)
        return DONE

    assert serve_requests(ask("one", "two"), Gone(), work) == 130
    assert finished == []


def test_loop_ends_when_the_client_is_gone():
    class Reset(io.StringIO):
        def readline(self):
            raise ConnectionResetError

    assert answers(Reset())[1] == 0
