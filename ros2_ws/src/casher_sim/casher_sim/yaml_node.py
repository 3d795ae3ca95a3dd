"""Values of a YAML file with the path that leads to them, so that an error names the field: `bodies[2].joint.axis`."""

import re

import numpy as np

NAME = r"[a-z][a-z0-9_]*"


class FieldError(ValueError):
    """A field with a wrong value: says which, what it must be, and what was found."""


class Node:
    """A value and its path. The methods return the value in its proper type or raise FieldError."""

    def __init__(self, value, path):
        self.value, self.path = value, path

    def error(self, wanted):
        return FieldError(f"{self.path} must be {wanted}, got {self.value!r}")

    def child(self, key):
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else str(key)
        return Node(self.value[key], self.path + step)

    def fields(self, known, required):
        """The entries of a mapping with these keys only -> {key: Node}, without those that are absent or null."""
        where = self.path or "the file"
        if not isinstance(self.value, dict):
            raise FieldError(f"{where} must be a mapping with {', '.join(known)}, got {self.value!r}")
        if unknown := [str(key) for key in self.value if key not in known]:
            raise FieldError(f"{where} has unknown fields {', '.join(unknown)}: known are {', '.join(known)}")
        if missing := [key for key in required if self.value.get(key) is None]:
            raise FieldError(f"{where} lacks {', '.join(missing)}: add it")
        return {key: self.child(key) for key in known if self.value.get(key) is not None}

    def items(self):
        if not isinstance(self.value, list):
            raise self.error("a list")
        return [self.child(i) for i in range(len(self.value))]

    def mapping(self, names=None):
        """A mapping by name; only those of `names` when given."""
        if not isinstance(self.value, dict):
            raise self.error("a mapping by name")
        for key in self.value:
            if not (key in names if names else re.fullmatch(NAME, str(key))):
                wanted = f"one of {', '.join(names)}" if names else "lower-case letters, digits and _"
                raise FieldError(f"a name in {self.path} must be {wanted}, got {key!r}")
        return {key: self.child(key) for key in self.value}

    def text(self):
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error("text")
        return self.value

    def name(self):
        if not isinstance(self.value, str) or not re.fullmatch(NAME, self.value):
            raise self.error("a name of lower-case letters, digits and _")
        return self.value

    def choice(self, known):
        if not isinstance(self.value, str) or self.value not in known:
            raise self.error(f"one of {', '.join(known)}")
        return self.value

    def day(self):
        # YAML reads an unquoted date as one
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(self.value)):
            raise self.error("a day such as 2026-01-31")
        return str(self.value)

    def integer(self):
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error("a whole number")
        return self.value

    def number(self):
        good = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not good or not np.isfinite(self.value):
            raise self.error("a finite number")
        return float(self.value)

    def at_least_zero(self):
        if self.number() < 0:
            raise self.error("at least 0")
        return self.number()

    def positive(self):
        if self.number() <= 0:
            raise self.error("above 0")
        return self.number()

    def numbers(self, n):
        if not isinstance(self.value, list) or len(self.value) != n:
            raise self.error(f"{n} numbers")
        return tuple(item.number() for item in self.items())

    def sizes(self, n):
        if min(self.numbers(n)) <= 0:
            raise self.error(f"{n} numbers above 0")
        return self.numbers(n)

    def unit(self, n):
        numbers = self.numbers(n)
        if abs(np.linalg.norm(numbers) - 1.0) > 1e-3:
            raise self.error(f"{n} numbers of length 1 (theirs is {np.linalg.norm(numbers):.4g})")
        return numbers
