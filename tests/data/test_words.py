"""Libraries' messages, made part of a sentence."""

import zipfile

import pytest

from nnviz3d.data.words import reason


@pytest.mark.parametrize("error", [EOFError(), KeyError(), zipfile.BadZipFile(""), ValueError(" \n")])
def test_without_a_message_no_class_stands_in_for_one(error):
    assert reason(error) == "no reason was given."


def test_a_message_is_one_line_with_a_period():
    assert reason(ValueError("two\nlines  here")) == "two lines here."
