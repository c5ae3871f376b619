"""The template as CloudFormation gets it: after SAM's transform, with the parameters' values, offline.

The translator is the one that AWS publishes and runs itself. What it hands back is then decided as CloudFormation does:
`Fn::If` is replaced by the branch that holds, and resources whose condition does not hold are gone.
"""

import copy
import logging
import os
import re
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).resolve().parents[2]

# The translator asks for a region, and for nothing else of AWS's.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)

PSEUDO = {"AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::StackName": "stack"}
PSEUDO["AWS::Region"] = os.environ["AWS_DEFAULT_REGION"]
NO_VALUE = {"Ref": "AWS::NoValue"}


def read(path):
    """A file of the repository, as text."""
    return (ROOT / path).read_text(encoding="utf-8")


def template():
    """The template as it is written, ready to be changed by a test."""
    return yaml_parse(read("template.yaml"))


class Translated:
    """The template after the transform, with all its conditions decided."""

    def __init__(self, source, parameters, code="s3://bucket/code"):
        self.source = source
        self.variables = source["Globals"]["Function"]["Environment"]["Variables"]
        defaults = {name: declared.get("Default", "") for name, declared in source["Parameters"].items()}
        self.parameters = {name: str(value) for name, value in {**defaults, **parameters}.items()}
        ready = copy.deepcopy(source)
        ready["Globals"]["Function"]["CodeUri"] = code
        translator = Translator(managed_policy_map={}, sam_parser=Parser(), plugins=[])
        whole = translator.translate(ready, dict(self.parameters))
        conditions = whole.get("Conditions", {})
        self.conditions = {name: self._holds(rule, conditions) for name, rule in conditions.items()}
        self.resources = self._decided(whole["Resources"])
        self.outputs = self._decided(whole["Outputs"])

    def of_type(self, *types):
        """The resources of these types, by their logical ids."""
        return {name: resource for name, resource in self.resources.items() if resource["Type"] in types}

    def properties(self, name):
        """A resource's properties; none where there is no such resource."""
        return self.resources.get(name, {}).get("Properties", {})

    def filled(self, value):
        """`value` with everything filled in that is known without AWS; a resource is its logical id between < and >."""
        if isinstance(value, list):
            return [self.filled(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            return {key: self.filled(entry) for key, entry in value.items()}
        (key, argument), = value.items()
        if key in ("Ref", "Fn::GetAtt"):
            return self._name(dotted(argument))
        if key == "Fn::Sub":
            text, given = argument if isinstance(argument, list) else (argument, {})
            given = {name: self.filled(entry) for name, entry in given.items()}
            return re.sub(r"\$\{([^!}][^}]*)\}", lambda found: str(given.get(found[1], self._name(found[1]))), text)
        if key == "Fn::Split":
            return self.filled(argument[1]).split(argument[0])
        if key == "Fn::Select":
            return self.filled(argument[1])[int(argument[0])]
        return {key: self.filled(argument)}

    def _name(self, name):
        return self.parameters.get(name, PSEUDO.get(name, f"<{name}>"))

    def _holds(self, rule, conditions):
        (key, argument), = rule.items()
        if key == "Condition":
            return self._holds(conditions[argument], conditions)
        if key == "Fn::Not":
            return not self._holds(argument[0], conditions)
        if key == "Fn::And":
            return all(self._holds(part, conditions) for part in argument)
        assert key == "Fn::Equals", key
        return len({str(self.filled(side)) for side in argument}) == 1

    def _decided(self, section):
        there = {name: one for name, one in section.items() if self.conditions.get(one.get("Condition"), True)}
        return {name: self._chosen(one) for name, one in there.items()}

    def _chosen(self, value):
        if isinstance(value, list):
            chosen = [self._chosen(entry) for entry in value]
            return [entry for entry in chosen if entry != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::If"}:
            name, then, otherwise = value["Fn::If"]
            return self._chosen(then if self.conditions[name] else otherwise)
        chosen = {key: self._chosen(entry) for key, entry in value.items()}
        return {key: entry for key, entry in chosen.items() if entry != NO_VALUE}


def dotted(argument):
    """What `Fn::GetAtt` asks for, as `Resource.Attribute`."""
    return ".".join(argument) if isinstance(argument, list) else argument


def references(value):
    """The names that a value refers to: parameters, pseudo parameters and resources, as they come."""
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)
    elif isinstance(value, dict):
        for key, argument in value.items():
            if key in ("Ref", "Fn::GetAtt"):
                yield dotted(argument).split(".")[0]
            elif key == "Fn::Sub":
                text, given = argument if isinstance(argument, list) else (argument, {})
                yield from references(given)
                names = re.findall(r"\$\{([^!}][^}]*)\}", text)
                yield from (name.split(".")[0] for name in names if name not in given)
            else:
                yield from references(argument)
