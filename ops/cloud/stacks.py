"""The clients the stack is made with: bounded waits, retries, and botocore's errors told as ours, in one place."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etl.errors import StackError
from ops.stack.answers import Refused, Unanswered
from ops.stack.desk import Clients

if TYPE_CHECKING:
    import boto3

CONNECT_S = 5
ANSWER_S = 30
ATTEMPTS = 6  # botocore waits longer from one to the next, and at throttling too

CREDENTIALS = frozenset({
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"})
REGION = frozenset({"OptInRequired", "InvalidRegion", "IllegalLocationConstraintException"})
NOT_SET_UP = ("redential", "Region", "Profile", "Token", "SSO", "ConfigParse", "ConfigNotFound", "ValueError")


def clients(session: "boto3.Session | None" = None) -> Clients:
    """All of one session, by default with what boto3 finds. Raises StackError where that cannot be used."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries=retries)  # type: ignore[arg-type] # a plain dict
    try:
        asked = session or boto3.Session()

        def client(service: Any) -> Any:
            return answering(asked.client(service, config=config))

        stacks = asked.client("cloudformation", config=config)
        return Clients(
            cloudformation=answering(stacks),
            ec2=client("ec2"),
            s3=client("s3"),
            sts=client("sts"),
            ssm=client("ssm"),
            iam=client("iam"),
            cloudwatch=client("cloudwatch"),
            logs=client("logs"),
            sns=client("sns"),
            tagging=client("resourcegroupstaggingapi"),
            region=stacks.meta.region_name,
        )
    except (BotoCoreError, ValueError) as error:
        raise _unusable(error) from error


def answering(client: Any) -> Any:
    """A boto3 client whose operations raise Refused, Unanswered or StackError, and nothing of botocore."""
    return _Answering(client)


class _Answering:
    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """An operation of the client."""
        operation = getattr(self._client, name)

        def asked(**fields: Any) -> Any:
            return _asked(operation, self._client.meta.service_model.service_name, fields)

        return asked


def _asked(operation: Callable[..., Any], service: str, fields: dict[str, Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        return operation(**fields)
    except ClientError as error:
        raise refused(service, error.operation_name, error.response) from error
    except (BotoCoreError, ResponseParserError, OSError, ValueError) as error:
        raise _unanswered(service, error) from error


def refused(service: str, operation: str, response: Any) -> Refused:
    """What AWS said, with what was expected and what to do."""
    code = str(response.get("Error", {}).get("Code", ""))
    expected, to_do = _way_out(code, f"{service}:{operation}")
    return Refused(f"{service}:{operation}", response, expected=expected, to_do=to_do)


def _way_out(code: str, action: str) -> tuple[str, str]:
    if code in CREDENTIALS:
        return "credentials that AWS knows and that have not run out", f"{_LOG_IN}; is this machine's clock right?"
    if code in DENIED:
        return f"credentials that may {action}", "take a profile that may, or ask who gives the rights"
    if code in REGION:
        return "a region that this account may use", "set AWS_DEFAULT_REGION, or turn the region on for the account"
    return "that AWS does what was asked", "see what it says; try again if it is nothing of ours"


def _unanswered(service: str, error: Exception) -> StackError:
    return _unusable(error) if _not_set_up(error) else _silent(service, error)


def _not_set_up(error: Exception) -> bool:
    return any(word in type(error).__name__ for word in NOT_SET_UP)


def _unusable(error: Exception) -> StackError:
    return StackError(
        f"AWS cannot be asked with what is configured: {error}",
        expected="a profile, region and credentials that boto3 can use",
        to_do=_LOG_IN,
    )


def _silent(service: str, error: Exception) -> Unanswered:
    return Unanswered(
        f"AWS gave no answer ({service}): {error}",
        expected="an answer",
        to_do="check the network, AWS_DEFAULT_REGION (is there such a region?) and AWS_ENDPOINT_URL; then try again",
    )


_LOG_IN = "check AWS_PROFILE and AWS_DEFAULT_REGION, or log in again (`aws sso login`, `aws configure`)"
