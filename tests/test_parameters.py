"""A dataclass becomes the parameters of a node: names, types, defaults, descriptions."""

import dataclasses
import types

import pytest

from casher_perception.parameters import declare, field_docs


@dataclasses.dataclass(frozen=True)
class Example:
    """A node's configuration."""

    rig: str
    """Rig file of
    the kitchen."""
    rate_hz: float = 15.0
    """How often."""
    low: tuple = (0.0, -0.5)
    """Corner [m]."""
    quiet: bool = False


class Node:
    """Stands for a node: declare_parameter answers with what was given, else with the default."""

    def __init__(self, **given):
        self.given, self.descriptors = given, {}

    def get_name(self):
        return "example"

    def declare_parameter(self, name, default, descriptor):
        self.descriptors[name] = descriptor
        return types.SimpleNamespace(value=self.given.get(name, default))


def test_fields_that_are_not_given_have_their_defaults():
    assert declare(Node(rig="demo.yaml"), Example) == Example("demo.yaml")


def test_given_values_replace_defaults_and_lists_come_back_as_tuples():
    config = declare(Node(rig="a.yaml", rate_hz=5.0, low=[1.0, 2.0], quiet=True), Example)
    assert config == Example("a.yaml", 5.0, (1.0, 2.0), True)


def test_a_missing_required_field_is_named_with_its_meaning():
    with pytest.raises(ValueError, match=r"example: parameter 'rig' must be given: Rig file of the kitchen\."):
        declare(Node(), Example)


def test_the_description_is_the_fields_docstring_on_one_line():
    assert field_docs(Example) == {"rig": "Rig file of the kitchen.", "rate_hz": "How often.", "low": "Corner [m]."}
    node = Node(rig="a.yaml")
    declare(node, Example)
    assert node.descriptors["rig"].description == "Rig file of the kitchen."
    assert node.descriptors["quiet"].description == ""


def test_a_parameter_cannot_be_changed_while_the_node_runs():
    node = Node(rig="a.yaml")
    declare(node, Example)
    assert all(descriptor.read_only for descriptor in node.descriptors.values())
