"""A case: a function of the world. A failed assertion or any exception fails it."""

from collections import namedtuple

Case = namedtuple("Case", "name quick run next")
ALL = []


def case(function):
    """Registers a case that always runs."""
    ALL.append(Case(function.__name__, True, function, None))
    return function


def long_case(function):
    """Registers a case that `--quick` leaves out."""
    ALL.append(Case(function.__name__, False, function, None))
    return function


def register(name, run, next=None, quick=True):
    """Registers a case under a name of its own, with what must work after a known defect."""
    ALL.append(Case(name, quick, run, next))
