"""A CloudFormation template without the resources that an emulator does not know, and without what refers to them."""

import json

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: !Ref A is {"Ref": "A"}."""


def _short_form(loader, tag, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)


def parsed(text):
    """The template as CloudFormation reads it, in long forms."""
    return yaml.load(text, _Loader)  # a SafeLoader


def without(text, types):
    """(the template as JSON, the logical ids that were left out)."""
    document = parsed(text)
    resources = document["Resources"]
    gone = {name for name, resource in resources.items() if resource["Type"] in types}
    while more := {name for name, resource in resources.items() if name not in gone and _names(resource) & gone}:
        gone |= more
    document["Resources"] = {name: resource for name, resource in resources.items() if name not in gone}
    outputs = document.get("Outputs", {})
    document["Outputs"] = {name: output for name, output in outputs.items() if not _names(output) & gone}
    return json.dumps(document), gone


def _names(part):
    """The logical ids that a part of a template refers to."""
    if isinstance(part, list):
        return {name for one in part for name in _names(one)}
    if not isinstance(part, dict):
        return set()
    found = {name for one in part.values() for name in _names(one)}
    if isinstance(part.get("Ref"), str):
        found.add(part["Ref"])
    if isinstance(part.get("Fn::GetAtt"), list):
        found.add(part["Fn::GetAtt"][0])
    if "Fn::Sub" in part:
        found |= _substituted(part["Fn::Sub"])
    depends = part.get("DependsOn", [])
    return found | set([depends] if isinstance(depends, str) else depends)


def _substituted(value):
    text = value if isinstance(value, str) else value[0]
    return {piece.partition("}")[0].partition(".")[0] for piece in text.split("${")[1:]}
