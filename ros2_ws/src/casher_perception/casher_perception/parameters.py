"""ROS parameters from a frozen dataclass: one definition of names, types, defaults and descriptions."""

import dataclasses
import inspect
import re


def field_docs(config_class):
    """Field name -> the docstring that stands below the field."""
    source = inspect.getsource(config_class)
    found = re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""', source, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def declare(node, config_class):
    """Declare every field of `config_class` as a parameter of `node` and return the instance its parameters make.

    A field without a default is required: ValueError names it when it is not given.
    """
    from rcl_interfaces.msg import ParameterDescriptor  # only where there is a node is there ROS

    docs = field_docs(config_class)
    values = {}
    for item in dataclasses.fields(config_class):
        descriptor = ParameterDescriptor(description=docs.get(item.name, ""), read_only=True)
        required = item.default is dataclasses.MISSING
        if required:
            descriptor.dynamic_typing = True
        default = None if required else list(item.default) if isinstance(item.default, tuple) else item.default
        value = node.declare_parameter(item.name, default, descriptor).value
        if value is None and required:
            raise ValueError(f"{node.get_name()}: parameter '{item.name}' must be given: {docs.get(item.name, '')}")
        values[item.name] = tuple(value) if isinstance(item.default, tuple) else value
    return config_class(**values)
