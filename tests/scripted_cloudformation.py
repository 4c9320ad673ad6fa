"""A CloudFormation that plays a script, and the other services that `fab provision` asks: all in memory."""

import io
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from functools import cache

import boto3
from botocore.config import Config
from botocore.stub import Stubber
from botocore.validate import validate_parameters

from etl.errors import ExitCode
from ops.cloud.stacks import answering, refused
from ops.settings import Settings
from ops.stack.desk import Clients, ProvisionDesk
from ops.stack.driver import STACK_POLICY, Hands
from ops.stack.inputs import Inputs

ACCOUNT = "111122223333"
REGION = "eu-west-1"
NAME = "project02-kpi"
ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{NAME}"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/ana"
IMAGE, NEWER_IMAGE = "ami-0123456789abcdef0", "ami-0fedcba9876543210"
STACK_TYPE = "AWS::CloudFormation::Stack"
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self):
        self.at_s, self.slept = 0.0, []

    def __call__(self):
        return self.at_s

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.at_s += seconds


def error(service, operation, code, message="", status=400, headers=None):
    """What the clients of ops.cloud.stacks raise where AWS refuses."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return refused(service, operation, response)


def absent(name):
    return error("cloudformation", "DescribeStacks", "ValidationError", f"Stack with id {name} does not exist")


def stubbed(service="cloudformation"):
    """A boto3 client with a Stubber, as the code gets it: (client, stubber)."""
    client = boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    stubber = Stubber(client)
    stubber.activate()
    return answering(client), stubber


def hands(client, clock=None, stream=None):
    clock = clock or Clock()
    return Hands(client, clock, clock.sleep, stream or io.StringIO())


def event(number, logical_id, status, reason="", *, kind="AWS::EC2::VPC", stack_id=f"{ARN}/1"):
    """An event as DescribeStackEvents has it; of the stack itself where `logical_id` is its name."""
    of_stack = logical_id == NAME
    return {
        "StackId": stack_id,
        "EventId": str(number),
        "StackName": NAME,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": stack_id if of_stack else f"{logical_id.lower()}-1",
        "ResourceType": STACK_TYPE if of_stack else kind,
        "Timestamp": NOW,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def add(logical_id, kind="AWS::EC2::VPC"):
    change = {"Action": "Add", "LogicalResourceId": logical_id, "ResourceType": kind, "Scope": [], "Details": []}
    return {"Type": "Resource", "ResourceChange": change}


def modify(logical_id, kind, *targets, replacement="False"):
    """A change of properties; a target is (path, before, after, recreates)."""
    keys = ("Path", "BeforeValue", "AfterValue", "RequiresRecreation")
    details = [
        {
            "Target": {"Attribute": "Properties", "Name": target[0].split("/")[2]}
            | dict(zip(keys, target, strict=True)),
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for target in targets
    ]
    change = {
        "Action": "Modify",
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": f"{logical_id.lower()}-1",
        "ResourceType": kind,
        "Replacement": replacement,
        "Scope": ["Properties"],
        "Details": details,
    }
    return {"Type": "Resource", "ResourceChange": change}


CREATED = [
    [(NAME, "CREATE_IN_PROGRESS", ""), ("Vpc", "CREATE_IN_PROGRESS", "")],
    [("Vpc", "CREATE_COMPLETE", ""), ("Bucket", "CREATE_COMPLETE", "")],
    [(NAME, "CREATE_COMPLETE", "")],
]
UPDATED = [
    [(NAME, "UPDATE_IN_PROGRESS", ""), ("SecurityGroup", "UPDATE_COMPLETE", "")],
    [(NAME, "UPDATE_COMPLETE", "")],
]
DELETED = [[(NAME, "DELETE_IN_PROGRESS", "")], [("Vpc", "DELETE_COMPLETE", "")], [(NAME, "DELETE_COMPLETE", "")]]
NOT_MADE = [
    [(NAME, "CREATE_IN_PROGRESS", ""), ("Vpc", "CREATE_COMPLETE", "")],
    [
        ("Role", "CREATE_FAILED", "EC2_Project02_S3ReadOnly already exists"),
        ("Bucket", "CREATE_FAILED", "Resource creation cancelled"),
        (NAME, "CREATE_FAILED", "The following resource(s) failed to create: [Role, Bucket]."),
    ],
    [(NAME, "DELETE_IN_PROGRESS", "")],
    [("Vpc", "DELETE_COMPLETE", ""), (NAME, "DELETE_COMPLETE", "")],
]


class ScriptedCloudFormation:
    """One stack. `runs` are what executing a change set and deleting play, a list of events for each look at it.

    `changes` is what a change set of an update has; one of the template that runs already has none.
    """

    def __init__(self, status="", template="", *, outputs=(), resources=("Bucket",), runs=(), changes=()):
        self.status, self.template, self.outputs = status, template, dict(outputs)
        self.resources = dict.fromkeys(resources, "CREATE_COMPLETE") if status else {}
        self.runs, self.changes = deque(runs), list(changes)
        self.protected, self.policy, self.policies = False, None, []
        self.stack_id = f"{ARN}/1" if status else ""
        self.made, self.executed, self.created = {}, [], []
        self.events, self.playing, self.deleted = [], deque(), []
        self.drifts, self.others, self.findings = [], [], []

    # --- the stack

    def describe_stacks(self, **fields):
        if self.playing:
            self._play()
        if not self.stack_id or (fields["StackName"] == NAME and self.status == "DELETE_COMPLETE"):
            raise absent(fields["StackName"])
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        told = {"StackId": self.stack_id, "StackName": NAME, "StackStatus": self.status, "Outputs": outputs}
        return {"Stacks": [told | {"EnableTerminationProtection": self.protected}]}

    def _play(self):
        for logical_id, status, reason in self.playing.popleft():
            self.events.append(event(len(self.events), logical_id, status, reason, stack_id=self.stack_id))
            if logical_id == NAME:
                self.status = status
            else:
                self.resources[logical_id] = status

    def get_template(self, **_fields):
        return {"TemplateBody": self.template}

    def list_stack_resources(self, **fields):
        """A page for each resource."""
        listed = [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": f"{name.lower()}-1",
                "ResourceType": "AWS::S3::Bucket" if name == "Bucket" else "AWS::EC2::VPC",
                "ResourceStatus": status,
            }
            for name, status in self.resources.items()
        ]
        number = int(fields.get("NextToken", 0))
        more = {"NextToken": str(number + 1)} if number + 1 < len(listed) else {}
        return {"StackResourceSummaries": listed[number : number + 1]} | more

    def describe_stack_events(self, **fields):
        """The newest first, two on a page."""
        number = int(fields.get("NextToken", 0))
        told = self.events[::-1]
        more = {"NextToken": str(number + 2)} if number + 2 < len(told) else {}
        return {"StackEvents": told[number : number + 2]} | more

    def delete_stack(self, **fields):
        self.deleted.append(fields["StackName"])
        if self.status == "REVIEW_IN_PROGRESS":
            self.status, self.made = "DELETE_COMPLETE", {}
            return
        self.playing.extend(self.runs.popleft())

    # --- change sets

    def create_change_set(self, **fields):
        self.created.append(fields)
        create = fields["ChangeSetType"] == "CREATE"
        if create:
            self.stack_id, self.status = f"{ARN}/{len(self.created)}", "REVIEW_IN_PROGRESS"
            self.resources = {}
        arn = f"{ARN.replace('stack', 'changeSet')}-{fields['ChangeSetName']}/{len(self.created)}"
        same = not create and fields["TemplateBody"] == self.template
        told = {"Status": "FAILED", "StatusReason": NO_CHANGES} if same else {"Status": "CREATE_COMPLETE"}
        changes = [add("Vpc"), add("Bucket", "AWS::S3::Bucket")] if create else self.changes
        available = {"ExecutionStatus": "UNAVAILABLE" if same else "AVAILABLE", "Changes": changes}
        names = {"ChangeSetId": arn, "ChangeSetName": fields["ChangeSetName"], "StackId": self.stack_id}
        self.made[arn] = told | available | names | {"TemplateBody": fields["TemplateBody"]}
        return {"Id": arn, "StackId": self.stack_id}

    def describe_change_set(self, **fields):
        for arn, made in self.made.items():
            if fields["ChangeSetName"] in (arn, made["ChangeSetName"]):
                return made
        raise error("cloudformation", "DescribeChangeSet", "ChangeSetNotFound", "ChangeSet does not exist", 404)

    def describe_events(self, **_fields):
        return {"OperationEvents": self.findings}

    def list_change_sets(self, **_fields):
        return {"Summaries": [*self.made.values(), *self.others]}

    def delete_change_set(self, **fields):
        self.deleted.append(fields["ChangeSetName"])
        self.made.pop(fields["ChangeSetName"], None)

    def execute_change_set(self, **fields):
        self.executed.append(fields["ChangeSetName"])
        self.template = self.made.pop(fields["ChangeSetName"])["TemplateBody"]
        self.policies.append(self.policy)
        self.playing.extend(self.runs.popleft())

    # --- guards

    def update_termination_protection(self, **fields):
        self.protected = fields["EnableTerminationProtection"]

    def get_stack_policy(self, **_fields):
        return {"StackPolicyBody": self.policy} if self.policy else {}

    def set_stack_policy(self, **fields):
        self.policy = fields["StackPolicyBody"]

    # --- drift

    def detect_stack_drift(self, **_fields):
        return {"StackDriftDetectionId": "detection"}

    def describe_stack_drift_detection_status(self, **_fields):
        return {"DetectionStatus": "DETECTION_COMPLETE"}

    def describe_stack_resource_drifts(self, **_fields):
        return {"StackResourceDrifts": self.drifts}


class Checked:
    """A stand-in for a service, with the fields of each call checked as botocore checks them."""

    def __init__(self, service, stand_in):
        self._meta, self._stand_in = _meta(service), stand_in

    def __getattr__(self, name):
        operation = self._meta.service_model.operation_model(self._meta.method_to_api_mapping[name])

        def called(**fields):
            if fields:
                validate_parameters(fields, operation.input_shape)
            return getattr(self._stand_in, name)(**fields)

        return called


@cache
def _meta(service):
    return boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test").meta


class Account:
    """The services beside CloudFormation, each asked for one thing."""

    def __init__(self):
        self.image, self.bucket, self.providers = IMAGE, "free", []
        self.zones = [f"{REGION}b", f"{REGION}a", f"{REGION}-lon-1a"]
        self.account, self.key_pairs = ACCOUNT, []

    def get_caller_identity(self):
        return {"Account": self.account, "Arn": CALLER}

    def get_parameter(self, **fields):
        return {"Parameter": {"Name": fields["Name"], "Value": self.image}}

    def head_bucket(self, **_fields):
        if self.bucket == "free":
            raise error("s3", "HeadBucket", "404", "Not Found", 404)
        if self.bucket == "another's":
            raise error("s3", "HeadBucket", "403", "Forbidden", 403, {"x-amz-bucket-region": REGION})
        return {"BucketRegion": self.bucket}

    def describe_instance_type_offerings(self, **_fields):
        return {"InstanceTypeOfferings": [{"Location": zone} for zone in self.zones]}

    def describe_key_pairs(self, **fields):
        if fields["KeyNames"][0] not in self.key_pairs:
            raise error("ec2", "DescribeKeyPairs", "InvalidKeyPair.NotFound", "no such key pair")
        return {"KeyPairs": [{}]}

    def list_open_id_connect_providers(self):
        return {"OpenIDConnectProviderList": [{"Arn": arn} for arn in self.providers]}


def template(inputs):
    """A template that tells what it was made with."""
    viewers = ", ".join(inputs.settings.stack.viewer_networks)
    return (
        f"Image: {inputs.ami}\nViewers: {viewers}\nProvider: {inputs.oidc_provider}\n"
        f"Subnet:\n  AvailabilityZone: {inputs.zone}\n"
    )


class Desk:
    """A desk at which nobody sits: what is told can be read, what is asked gets `answers`, one after the other."""

    def __init__(self, directory, formation, account=None, *, answers=(), settings=None, **fields):
        self.formation, self.account, self.clock = formation, account or Account(), Clock()
        self.stream, self.asked, self.after = io.StringIO(), [], []
        self.answers = deque(answers)
        services = {name: Checked(name, self.account) for name in ("ec2", "s3", "sts", "ssm", "iam")}
        self.desk = ProvisionDesk(
            settings=settings or Settings(),
            clients=Clients(cloudformation=Checked("cloudformation", formation), region=REGION, **services),
            now=self._now,
            clock=self.clock,
            sleep=self.clock.sleep,
            stream=self.stream,
            ask=self._ask,
            template=fields.pop("template", template),
            after=self._after,
            outputs_path=directory / "stack.json",
            **fields,
        )

    def _now(self):
        return NOW + timedelta(seconds=self.clock.at_s)

    def _ask(self, question):
        self.asked.append(question)
        return self.answers.popleft()

    def _after(self, outputs):
        self.after.append(outputs)
        return ExitCode.GOOD

    @property
    def told(self):
        return self.stream.getvalue()


GROUP_CHANGE = modify("SecurityGroup", "AWS::EC2::SecurityGroup", ("/Properties/GroupDescription", "a", "b", "Never"))
IMAGE_CHANGE = modify(
    "Instance", "AWS::EC2::Instance", ("/Properties/ImageId", IMAGE, NEWER_IMAGE, "Always"), replacement="True"
)


def finding(logical_id, reason):
    """What DescribeEvents has of a validation."""
    return {
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": logical_id,
        "ResourceType": "AWS::IAM::Role",
        "ValidationStatus": "FAILED",
        "ValidationStatusReason": reason,
    }


def made_from(image=IMAGE, **stack):
    """The template that a stack was made from."""
    return template(Inputs(Settings(stack=stack), "111122223333", REGION, image))


def live(*, text=None, **fields):
    """A stack that is there and guarded, as a run before has left it."""
    found = ScriptedCloudFormation("CREATE_COMPLETE", text or made_from(), outputs={"AmiId": IMAGE}, **fields)
    found.protected, found.policy = True, json.dumps(STACK_POLICY)
    return found
