"""Warnings are silent inside, and heard again after."""

import logging

import pytest

from rooftop.logs import without_warnings


def test_warnings_are_silent_inside_and_errors_are_not(caplog):
    log = logging.getLogger("rooftop.test")
    with without_warnings():
        log.warning("inside")
        log.error("broken")
    log.warning("after")
    assert caplog.messages == ["broken", "after"]


def test_what_was_silent_before_stays_silent_after_a_fault():
    logging.disable(logging.ERROR)
    try:
        with pytest.raises(ZeroDivisionError), without_warnings():
            raise ZeroDivisionError
        assert logging.root.manager.disable == logging.ERROR
    finally:
        logging.disable(logging.NOTSET)
