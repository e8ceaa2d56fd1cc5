"""Ctrl-C that waits for the end of a step, and is never lost."""

from __future__ import annotations

import os
import signal

import pytest

from gtl_core.training.interrupts import deferred_interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_waits_until_the_block_passes_it_on():
    steps = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts() as interruption:
        press()
        steps.append("whole")
        if interruption.requested:
            interruption.pass_on()
        steps.append("another")
    assert steps == ["whole"]


def test_one_that_the_block_does_not_look_for_any_more_interrupts_at_its_end():
    before = signal.getsignal(signal.SIGINT)
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with deferred_interrupts():
            press()
            steps.append("the last")
        steps.append("after it")
    assert steps == ["the last"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_one_interrupts_at_once():
    steps = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        press()
        press()
        steps.append("not reached")
    assert not steps
