"""Loops compiled by numba, which keeps them from one start to the next where it may write."""

from numba import njit


def compiled(*signatures, **options):
    """Decorator: numba.njit without the interpreter's lock, kept beside the module or in the user's cache.

    Where neither can be written it is compiled at every start: numba alone would refuse to import the module.
    """

    def decorate(function):
        try:
            return njit(*signatures, cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no place for a cache; what else there may be comes again
            return njit(*signatures, nogil=True, **options)(function)

    return decorate
