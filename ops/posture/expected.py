"""What the settings make: the stack's template as AWS will have it, its functions worked out. Pure."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ops.posture.account import Account, CannotTell
from ops.settings import Settings
from ops.stack import names
from ops.stack.inputs import Inputs
from ops.stack.template import template

ANY_IMAGE = "ami-00000000000000000"  # the image is pinned when the stack is made: no setting tells which


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    # the template's short forms all have a text
    value = loader.construct_scalar(node)  # type: ignore[arg-type] # of a ScalarNode
    return {name if name == "Ref" else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


class Expected:
    """The template of these settings, in this account; `ids` has what AWS has called things: logical id -> id."""

    def __init__(self, settings: Settings, account: Account, ids: Mapping[str, str]) -> None:
        """`ids` may lack what is not there; what needs it cannot be told then."""
        provider = f"arn:{account.partition}:iam::{account.account}:oidc-provider/{names.GITHUB_HOST}"
        inputs = Inputs(settings, account.account, account.region, ANY_IMAGE, provider, account.partition)
        self._resources = yaml.load(template(inputs), _Loader)["Resources"]  # noqa: S506 - a SafeLoader, and our own text
        self._ids = {
            "AWS::AccountId": account.account,
            "AWS::Region": account.region,
            "AWS::Partition": account.partition,
            "Topic": f"arn:{account.partition}:sns:{account.region}:{account.account}:{names.topic(settings)}",
            **ids,
        }

    def says(self, logical: str, name: str) -> Any:
        """A property of a resource, None for none. Raises CannotTell where it needs the id of what is not there."""
        return self._worked_out(self._resources[logical]["Properties"].get(name))

    def _worked_out(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._worked_out(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) & {"Ref", "Fn::GetAtt"}:
            return self._id(next(iter(value.values())))
        if "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda match: self._id(match[1]), value["Fn::Sub"])
        if "Fn::Base64" in value:
            return value["Fn::Base64"]
        return {name: self._worked_out(item) for name, item in value.items()}

    def _id(self, said: str) -> str:
        logical = said.partition(".")[0]
        if logical not in self._ids:
            raise CannotTell(f"the stack's {logical} is not there")
        return self._ids[logical]
