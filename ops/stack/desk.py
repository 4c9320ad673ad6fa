"""What the stack is made with: clients of AWS, settings, clock, and where lines are told and questions asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from etl.errors import ExitCode
from ops.settings import Settings
from ops.stack.inputs import Inputs
from ops.stack.outputs import Outputs
from ops.words import plain

Answer = Mapping[str, Any]


class CloudFormation(Protocol):
    """What is needed of a CloudFormation client; fields and answers are boto3's."""

    def describe_stacks(self, **fields: Any) -> Answer:
        """StackName -> Stacks."""

    def get_template(self, **fields: Any) -> Answer:
        """StackName -> TemplateBody."""

    def list_stack_resources(self, **fields: Any) -> Answer:
        """StackName, NextToken -> StackResourceSummaries, NextToken."""

    def describe_stack_events(self, **fields: Any) -> Answer:
        """StackName, NextToken -> StackEvents, NextToken; the newest first."""

    def describe_events(self, **fields: Any) -> Answer:
        """StackName or ChangeSetName, Filters, NextToken -> OperationEvents, NextToken."""

    def create_change_set(self, **fields: Any) -> Answer:
        """StackName, ChangeSetName, TemplateBody, ... -> Id, StackId."""

    def describe_change_set(self, **fields: Any) -> Answer:
        """ChangeSetName, StackName, NextToken -> Status, Changes, ..., NextToken."""

    def list_change_sets(self, **fields: Any) -> Answer:
        """StackName, NextToken -> Summaries, NextToken."""

    def execute_change_set(self, **fields: Any) -> Answer:
        """ChangeSetName."""

    def delete_change_set(self, **fields: Any) -> Answer:
        """ChangeSetName."""

    def delete_stack(self, **fields: Any) -> Answer:
        """StackName."""

    def update_termination_protection(self, **fields: Any) -> Answer:
        """StackName, EnableTerminationProtection."""

    def get_stack_policy(self, **fields: Any) -> Answer:
        """StackName -> StackPolicyBody."""

    def set_stack_policy(self, **fields: Any) -> Answer:
        """StackName, StackPolicyBody."""

    def detect_stack_drift(self, **fields: Any) -> Answer:
        """StackName -> StackDriftDetectionId."""

    def describe_stack_drift_detection_status(self, **fields: Any) -> Answer:
        """StackDriftDetectionId -> DetectionStatus, ..."""

    def describe_stack_resource_drifts(self, **fields: Any) -> Answer:
        """StackName, NextToken -> StackResourceDrifts, NextToken."""


class Ec2(Protocol):
    """What preflight needs of an EC2 client."""

    def describe_instance_type_offerings(self, **fields: Any) -> Answer:
        """LocationType, Filters, NextToken -> InstanceTypeOfferings, NextToken."""

    def describe_key_pairs(self, **fields: Any) -> Answer:
        """KeyNames -> KeyPairs."""


class S3(Protocol):
    """What preflight needs of an S3 client."""

    def head_bucket(self, **fields: Any) -> Answer:
        """Bucket, ExpectedBucketOwner -> BucketRegion."""


class Sts(Protocol):
    """What preflight needs of an STS client."""

    def get_caller_identity(self, **fields: Any) -> Answer:
        """-> Account, Arn."""


class Ssm(Protocol):
    """What is needed of an SSM client."""

    def get_parameter(self, **fields: Any) -> Answer:
        """Name -> Parameter."""

    def send_command(self, **fields: Any) -> Mapping[str, Any]:
        """InstanceIds, DocumentName, Parameters -> Command.CommandId."""

    def get_command_invocation(self, **fields: Any) -> Mapping[str, Any]:
        """CommandId, InstanceId -> Status, StandardOutputContent, StandardErrorContent."""


class Iam(Protocol):
    """What preflight needs of an IAM client."""

    def list_open_id_connect_providers(self, **fields: Any) -> Answer:
        """-> OpenIDConnectProviderList."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients of one region, whose operations raise Refused and Unanswered. Those of no type are for `verify`."""

    cloudformation: CloudFormation
    ec2: Ec2
    s3: S3
    sts: Sts
    ssm: Ssm
    iam: Iam
    region: str
    cloudwatch: Any = None
    logs: Any = None
    sns: Any = None
    tagging: Any = None


@dataclass(frozen=True, slots=True)
class ProvisionDesk:
    """`clock` gives seconds and only grows; `ask` gives what a person answers to a question.

    `template` makes the stack's text; `after` brings the host of a finished stack to what it should be, and must find
    nothing to do where nothing is; `own_address` is asked only where no way in is set. `protects` is False where the
    AWS that is asked knows no termination protection: the embedded one.
    """

    settings: Settings
    clients: Clients
    now: Callable[[], datetime]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    stream: TextIO
    ask: Callable[[str], str]
    template: Callable[[Inputs], str]
    after: Callable[[Outputs], ExitCode]
    outputs_path: Path
    own_address: Callable[[], str] | None = None
    protects: bool = True

    def tell(self, text: str) -> None:
        """Lines for a person; words from outside cannot steer a terminal."""
        for line in text.splitlines():
            print(plain(line), file=self.stream, flush=True)
