"""What AWS says instead of an answer: it refused, with a code, or nobody answered."""

from collections.abc import Mapping
from typing import Any

from etl.errors import StackError

THROTTLED = frozenset({
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
SERVER_FAILED = 500


class Refused(StackError):
    """AWS answered, and said no. `action` as rights name it, like ec2:DescribeVpcs; `response` as botocore has it."""

    def __init__(self, action: str, response: Mapping[str, Any], *, expected: str, to_do: str) -> None:
        """Compose the message from what AWS said."""
        error = response.get("Error", {})
        self.action = action
        self.code = str(error.get("Code", ""))
        self.said = str(error.get("Message", ""))
        self.status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        self.headers: Mapping[str, str] = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        super().__init__(f"AWS refuses {action}: {self.code}: {self.said}", expected=expected, to_do=to_do)

    @property
    def throttled(self) -> bool:
        """Too much was asked at once."""
        return self.code in THROTTLED

    @property
    def passing(self) -> bool:
        """The same may be answered when it is asked again."""
        return self.throttled or self.status >= SERVER_FAILED

    @property
    def absent(self) -> bool:
        """What was asked for is not there: CloudFormation says it of a stack in words alone."""
        return self.code == "ValidationError" and "does not exist" in self.said


class Unanswered(StackError):
    """Nobody answered, or what came was no answer."""

    passing = True
