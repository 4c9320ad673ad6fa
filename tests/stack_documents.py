"""The policies of the rendered template as AWS will have them: CloudFormation's functions worked out, made-up ids."""

import re

import yaml

from ops.settings import GithubSettings, Settings, StackSettings
from ops.stack.inputs import Inputs
from ops.stack.template import template

ACCOUNT, REGION, PARTITION = "123456789012", "eu-west-2", "aws"
GITHUB_HOST = "token.actions.githubusercontent.com"
INSTANCE, GROUP = "i-0123456789abcdef0", "sg-0123456789abcdef0"
AMI = "ami-0123456789abcdef0"
WITH_ARN = ("SNS::Topic", "IAM::OIDCProvider")
GITHUB = GithubSettings(repository="shop-owner/kpi-ops", owner_id="111", repository_id="222")
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": PARTITION,
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, like !Ref."""


def _short(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "Ref":
        return {"Ref": value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short)


class Stack:
    """A template and what its resources will be called."""

    def __init__(self, text):
        self.resources = yaml.load(text, Loader)["Resources"]

    def properties(self, logical):
        return self.worked_out(self.resources[logical]["Properties"])

    def of_type(self, kind):
        return [name for name, resource in self.resources.items() if resource["Type"] == f"AWS::{kind}"]

    def role_documents(self, logical):
        """Every policy of a role, wherever the template says it; the names of AWS's own ones."""
        properties = self.properties(logical)
        inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        attached = [
            self.properties(name)["PolicyDocument"]
            for kind in ("IAM::Policy", "IAM::RolePolicy", "IAM::ManagedPolicy")
            for name in self.of_type(kind)
            if properties["RoleName"] in str(self.properties(name))
        ]
        return [*inline, *attached], properties.get("ManagedPolicyArns", [])

    def worked_out(self, value):
        if isinstance(value, list):
            return [self.worked_out(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, of),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return getattr(self, f"_{name.removeprefix('Fn::').lower()}")(of)
        return {name: self.worked_out(item) for name, item in value.items()}

    def _ref(self, name):
        return PSEUDO[name] if name in PSEUDO else self._id(name)

    def _getatt(self, path):
        name, attribute = path
        if attribute == "Arn":
            return self._arn(name)
        assert attribute in ("GroupId", "InstanceId", "TopicArn"), path
        return self._id(name)

    def _sub(self, said):
        text, given = (said[0], self.worked_out(said[1])) if isinstance(said, list) else (said, {})

        def put(match):
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in given:
                return given[name]
            return self._getatt(name.split(".")) if "." in name else self._ref(name)

        return re.sub(r"\$\{([^}]+)\}", put, text)

    def _base64(self, said):
        return self.worked_out(said)

    def _join(self, said):
        between, parts = said
        return between.join(self.worked_out(parts))

    def _id(self, logical):
        resource = self.resources[logical]
        kind, properties = resource["Type"], resource.get("Properties", {})
        made = {"EC2::Instance": INSTANCE, "EC2::SecurityGroup": GROUP, "EC2::VPC": "vpc-1", "EC2::RouteTable": "rtb-1"}
        named = {"S3::Bucket": "BucketName", "IAM::Role": "RoleName", "Logs::LogGroup": "LogGroupName"}
        short = kind.removeprefix("AWS::")
        if short in named:
            return self.worked_out(properties[named[short]])
        if short in made:
            return made[short]
        return self._arn(logical) if short in WITH_ARN else f"the {logical}"

    def _arn(self, logical):
        resource = self.resources[logical]
        kind, properties = resource["Type"].removeprefix("AWS::"), self.worked_out(resource.get("Properties", {}))
        if kind == "S3::Bucket":
            return f"arn:aws:s3:::{properties['BucketName']}"
        if kind == "IAM::Role":
            return role_arn(properties["RoleName"])
        if kind == "IAM::OIDCProvider":
            return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB_HOST}"
        if kind == "SNS::Topic":
            return f"arn:aws:sns:{REGION}:{ACCOUNT}:{properties['TopicName']}"
        if kind == "Logs::LogGroup":
            return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{properties['LogGroupName']}:*"
        raise AssertionError(f"the ARN of {logical}, {kind}, is not known here")


def role_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def stack_of(settings, provider=""):
    """The stack that `fab provision` makes with these settings; `provider`: one for GitHub that is there already."""
    return Stack(template(Inputs(settings, ACCOUNT, REGION, AMI, provider)))


def settings_with(github=GITHUB, **stack):
    """Settings with these of [stack]; the rest as it comes."""
    return Settings(stack=StackSettings(github=github, **stack))
