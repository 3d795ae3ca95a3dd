"""Text and type hash of any installed interface, from the ament index alone: what a bag needs so that it reads
without a ROS installation."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

KINDS = ("msg", "srv", "action")
_PRIMITIVES = {
    *("bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16"),
    *("int32", "uint32", "int64", "uint64", "string", "wstring"),
}
_FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")
_SEPARATOR = "=" * 80


class SchemaError(RuntimeError):
    """An interface that cannot be described: its name, and what to install."""


@dataclass(frozen=True)
class Interface:
    """A message type as a bag carries it."""

    name: str
    """'sensor_msgs/msg/PointCloud2'."""
    text: str
    """Its definition followed by those of all it contains, in the `ros2msg` form of MCAP."""
    type_hash: str
    """'RIHS01_...', REP 2011."""


@lru_cache(maxsize=256)
def interface(name):
    """'package/kind/Name' with kind msg, srv or action -> Interface. Raises SchemaError when it is not installed."""
    parts = name.split("/")
    if len(parts) != 3 or parts[1] not in KINDS:
        raise SchemaError(f"an interface is called package/kind/Name with kind {', '.join(KINDS)}, got '{name}'")
    text = _definition(name)
    found = {}
    _collect(parts[0], text, found)
    dependencies = "".join(f"\n{_SEPARATOR}\nMSG: {short}\n{body}" for short, body in found.items())
    return Interface(name, text + dependencies, _type_hash(name))


def _share(name):
    package = name.split("/")[0]
    try:
        return Path(get_package_share_directory(package))
    except (PackageNotFoundError, ValueError):
        raise SchemaError(f"'{name}' cannot be described: package {package} is not installed here") from None


def _definition(name):
    _, kind, short = name.split("/")
    path = _share(name) / kind / f"{short}.{kind}"
    try:
        return path.read_text()
    except OSError as error:
        raise SchemaError(f"'{name}' cannot be described: {path}: {error.strerror}") from error


def _collect(package, text, found):
    """Definitions of everything that `text` of `package` contains, into found: 'package/Name' -> text, in order of
    appearance."""
    for line in text.splitlines():
        field = _FIELD.match(line.split("#")[0])
        if field is None or field.group(1) in _PRIMITIVES:
            continue
        short = field.group(1) if "/" in field.group(1) else f"{package}/{field.group(1)}"
        owner, name = short.split("/")[0], short.split("/")[-1]
        if f"{owner}/{name}" not in found:
            body = _definition(f"{owner}/msg/{name}")
            found[f"{owner}/{name}"] = body
            _collect(owner, body, found)


def _type_hash(name):
    _, kind, short = name.split("/")
    path = _share(name) / kind / f"{short}.json"
    try:
        hashes = {item["type_name"]: item["hash_string"] for item in json.loads(path.read_text())["type_hashes"]}
        return hashes[name]
    except (OSError, ValueError, KeyError) as error:
        raise SchemaError(f"no type hash for '{name}' in {path}: {error}") from error
