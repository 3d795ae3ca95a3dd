"""Single settings of a training's configuration, given as NAME=VALUE."""

import json


def with_settings(values, settings):
    """`to_dict` of a configuration, nested or not, and NAME=VALUE texts -> the dict with these values in it.

    A value within another is named OUTER.INNER. ValueError for an unknown name, which lists the known ones, and for a
    value of another type.
    """
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    for setting in settings:
        path, _, text = setting.partition("=")
        outer, _, inner = path.rpartition(".")
        place, name = (values.get(outer), inner) if outer else (values, path)
        if not isinstance(place, dict) or isinstance(place.get(name, {}), dict):
            raise ValueError(f"unknown setting {path!r}: known are {', '.join(_names(values))}")
        place[name] = _value(path, place[name], text)
    return values


def _names(values):
    for name, value in values.items():
        yield from [f"{name}.{inner}" for inner in _names(value)] if isinstance(value, dict) else [name]


def _value(name, default, text):
    try:
        value = json.loads(text) if not isinstance(default, str) else text
        if isinstance(default, bool) and not isinstance(value, bool):
            raise TypeError
        if type(default) in (float, int):
            if isinstance(value, bool) or type(default)(value) != value:
                raise TypeError
            return type(default)(value)
        if isinstance(default, tuple):
            if not isinstance(value, list):
                raise TypeError
            return tuple(value)
        return value
    except (ValueError, TypeError):
        raise ValueError(f"{name} is {default!r} by default, got {text!r}: give such a value") from None
