"""Alerts to an SNS topic: a subject for mail, plain text, attributes to filter by."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

from etl.store.wire import Deadline
from ops.alerts.ledger import ChannelName
from ops.alerts.wire import ANSWER_S, CONNECT_S, Passing, Undelivered, patiently
from ops.alerts.words import Message

MAX_SUBJECT = 100
REGION_IN_ARN = 3
TRY_AGAIN = frozenset({"Throttled", "Throttling", "ThrottlingException", "RequestTimeout", "KMSThrottling"})
THIS_ONE_ONLY = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})


class Publisher(Protocol):
    """What is needed of an SNS client."""

    def publish(self, **fields: Any) -> Mapping[str, Any]:
        """Publish to TopicArn: Subject, Message, MessageAttributes."""


def sns_client(topic: str) -> Publisher:
    """A client for the region of a topic, that tries once: it is `patiently` that tries again.

    Credentials and endpoint come from where boto3 always takes them.
    """
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries={"total_max_attempts": 1})
    region = topic.split(":")[REGION_IN_ARN] if topic.count(":") > REGION_IN_ARN else None
    client: Publisher = boto3.Session().client("sns", region_name=region, config=config)
    return client


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as a channel; the client is made when it is needed."""

    name: ClassVar[ChannelName] = "sns"
    arn: str
    client_for: Callable[[str], Publisher] = sns_client

    def send(self, message: Message, *, deadline: Deadline, now: datetime) -> str:  # noqa: ARG002 - the shape of a channel
        """Publish it. Raises Undelivered."""
        patiently(lambda: self._once(message, deadline), deadline)
        return ""

    def _once(self, message: Message, deadline: Deadline) -> None:
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        if not deadline.left_s:
            raise Undelivered("no time was left", hopeless=True)
        try:
            self.client_for(self.arn).publish(**publication(message, self.arn))
        except ClientError as error:
            raise _refused(error.response) from error
        except (BotoCoreError, HTTPError, OSError, ValueError) as error:
            raise _unasked(error) from error


def publication(message: Message, topic: str) -> dict[str, Any]:
    """What is published; to a FIFO topic in order by thread, and each alert once."""
    words = {"event": message.event, "target": message.thread.target, "kind": message.thread.kind}
    fields = {
        "TopicArn": topic,
        "Subject": subject(message.headline),
        "Message": message.text,
        "MessageAttributes": {name: {"DataType": "String", "StringValue": word} for name, word in words.items()},
    }
    if not topic.endswith(".fifo"):
        return fields
    once = hashlib.sha256(message.id.encode()).hexdigest()
    return fields | {"MessageGroupId": message.thread.target, "MessageDeduplicationId": once}


def subject(headline: str) -> str:
    """At most 100 letters of ASCII on one line, as SNS asks for."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in headline)
    return plain if len(plain) <= MAX_SUBJECT else f"{plain[: MAX_SUBJECT - 3]}..."


def _refused(response: Any) -> Undelivered:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = response.get("Error", {}).get("Code", "")
    why = f"answered {status} {code}".strip()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in TRY_AGAIN:
        return Passing(why)
    return Undelivered(why, hopeless=code not in THIS_ONE_ONLY)


def _unasked(error: Exception) -> Undelivered:
    name = type(error).__name__
    if "redential" in name or "Region" in name or "Profile" in name:
        return Undelivered(f"AWS cannot be asked with what is configured: {name}", hopeless=True)
    return Passing(f"no answer: {name}")
