"""Cleaning of names and of error messages of libraries."""

import zipfile

import pytest

from nnviz3d.data.printable import LONGEST_NAME, LONGEST_SENTENCE, printable, printable_lines, reason, sentence


@pytest.mark.parametrize("error", [EOFError(), KeyError(), zipfile.BadZipFile(""), ValueError(" \n")])
def test_reason_of_an_error_without_a_message_is_not_its_class(error):
    assert reason(error) == "no reason was given."


def test_reason_is_one_line_that_ends_in_a_period():
    assert reason(ValueError("two\nlines  here")) == "two lines here."


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Größe 日本 🙂 ا\u200cب", "Größe 日本 🙂 ا\u200cب"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x1b[31mred\x9b0m\x7f\x00", r"\x1b[31mred\x9b0m\x7f\x00"),
        ("cat\u202egnp.exe\u2066\u200b\ufeff", r"cat\u202egnp.exe\u2066\u200b\ufeff"),
        ("no\udce9text\u2028", r"no\udce9text\u2028"),
        ("a\u00a0b", "a b"),
    ],
)
def test_printable_text_has_no_control_characters(text, clean):
    assert printable(text) == clean
    assert printable(clean) == clean


def test_printable_text_is_cut_in_its_middle():
    assert printable("a" * 100 + "b" * 100, 11) == "aaaaa…bbbbb"
    assert len(printable("\n" * 1000)) == LONGEST_NAME
    assert len(printable("x" * 1000, None)) == 1000


def test_sentence_is_on_one_line():
    assert sentence(" one\n two\x1b") == r"one two\x1b"
    assert len(sentence("word " * 1000)) == LONGEST_SENTENCE


def test_traceback_keeps_its_lines():
    assert printable_lines("one\n\ttwo\x1b[2J\n") == "one\n        two" + r"\x1b[2J"
