"""The running instance of a name, as EC2 tells it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from etl.errors import HostError, HostUnreachable

CONNECT_S = 5
ANSWER_S = 10
GONE = frozenset({"terminated", "shutting-down"})
CREDENTIAL_CODES = frozenset({"AuthFailure", "UnauthorizedOperation", "ExpiredToken", "RequestExpired"})


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance. `public` and `private` are addresses, "" where it has none; `state` is EC2's word."""

    id: str
    name: str
    state: str
    public: str
    private: str


class Ec2(Protocol):
    """What is needed of an EC2 client."""

    def describe_instances(self, **fields: Any) -> Mapping[str, Any]:
        """Filters, NextToken -> Reservations, NextToken."""


def ec2_client() -> Ec2:
    """A client with bounded waits. Raises HostError where what boto3 finds to ask with cannot be used."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    retries = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries=retries)  # type: ignore[arg-type] # a plain dict
    try:
        client: Ec2 = boto3.Session().client("ec2", config=config)
    except (BotoCoreError, ValueError) as error:
        raise _unasked(error) from error
    return client


def running(name: str, client: Ec2) -> Instance:
    """The one running instance whose Name tag is `name`. Raises HostError where there is none, or more than one."""
    known = [instance for instance in _described(name, client) if instance.state not in GONE]
    found = [instance for instance in known if instance.state == "running"]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(f"{instance.id} ({instance.public or instance.private})" for instance in found)
        raise HostError(
            f"{len(found)} running instances are named {name}: {shown}",
            expected="one: which is meant cannot be guessed",
            to_do="name it with -H or [host] address in settings.toml, or stop the others",
        )
    others = ", ".join(f"{instance.id} is {instance.state}" for instance in known)
    raise HostError(
        f"no running instance is named {name}" + (f": {others}" if others else ""),
        expected="the instance with that Name tag, in the region and account that boto3 is set to",
        to_do="`fab provision`, start it, or name a host with -H or [host] address in settings.toml",
    )


def _described(name: str, client: Ec2) -> Iterator[Instance]:
    page: Mapping[str, Any] = {}
    while True:
        more = {"NextToken": page["NextToken"]} if page else {}
        page = _asked(client, Filters=[{"Name": "tag:Name", "Values": [_literally(name)]}], **more)
        for reservation in page.get("Reservations", ()):
            yield from (_instance(name, said) for said in reservation.get("Instances", ()))
        if not page.get("NextToken"):
            return


def _literally(value: str) -> str:
    """A filter's value that stands for itself: EC2 reads * and ? as any letters."""
    return "".join(f"\\{letter}" if letter in "*?\\" else letter for letter in value)


def _instance(name: str, said: Mapping[str, Any]) -> Instance:
    return Instance(
        id=said["InstanceId"],
        name=name,
        state=said["State"]["Name"],
        public=said.get("PublicIpAddress") or said.get("PublicDnsName") or "",
        private=said.get("PrivateIpAddress") or "",
    )


def _asked(client: Ec2, **fields: Any) -> Mapping[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return client.describe_instances(**fields)
    except ClientError as error:
        raise _refused(error.response) from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise _unasked(error) from error


def _refused(response: Any) -> HostError:
    code = response.get("Error", {}).get("Code", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    seen = f"EC2 does not tell which instances there are: it answered {status} {code}"
    if code in CREDENTIAL_CODES or "oken" in code:
        return HostError(seen, expected="credentials that may ec2:DescribeInstances", to_do=_WAY_OUT)
    return HostUnreachable(seen, expected="a list of instances", to_do="try again, or name the host with -H")


def _unasked(error: Exception) -> HostError:
    name = type(error).__name__
    if any(word in name for word in ("redential", "Region", "Profile", "Token", "Config", "ValueError")):
        return HostError(
            f"AWS cannot be asked with what is configured: {error}",
            expected="a profile, region and credentials that boto3 can use",
            to_do=_WAY_OUT,
        )
    return HostUnreachable(
        f"EC2 gave no answer: {error}",
        expected="an answer from EC2",
        to_do="check the network and AWS_ENDPOINT_URL, or name the host with -H or [host] address in settings.toml",
    )


_WAY_OUT = (
    "check AWS_PROFILE, AWS_DEFAULT_REGION and the rights of that user or role; "
    "or name the host with -H or [host] address in settings.toml, and AWS is not asked"
)
