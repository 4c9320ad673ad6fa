"""Alerts to an SNS topic, against moto over HTTP."""

import json

import boto3
import pytest
from botocore.config import Config

from etl.store import Patience
from ops.alerts.sns import Topic, publication, sns_client, subject
from ops.alerts.wire import Undelivered
from tests.made_incidents import alert, at, incident

REGION = "eu-west-1"
PLACE = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
QUICK = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2)
DOWN = incident(6)


@pytest.fixture
def aws(s3_endpoint):
    """A function that makes clients of the embedded AWS."""
    return lambda service: boto3.client(service, endpoint_url=s3_endpoint, config=QUICK, **PLACE)


@pytest.fixture
def topic(aws):
    """A topic, and a function that gives what a queue subscribed to it got."""
    arn = aws("sns").create_topic(Name="alerts")["TopicArn"]
    url = aws("sqs").create_queue(QueueName="alerts")["QueueUrl"]
    queue = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)

    def received():
        found = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    yield arn, received
    aws("sns").delete_topic(TopicArn=arn)
    aws("sqs").delete_queue(QueueUrl=url)


def publish(arn, client_for, *, attempts=3, deadline_s=20.0, slept=None):
    slept = [] if slept is None else slept
    patience = Patience(attempts, deadline_s, slept.append)
    return Topic(arn, client_for).send(alert("opened", DOWN), deadline=patience.begin(), now=at(7))


def test_subscribers_get_subject_text_and_attributes(aws, topic):
    arn, received = topic
    assert publish(arn, lambda _: aws("sns")) == ""
    (got,) = received()
    assert got["Subject"] == "dashboard is down since 2026-11-22T06:00:00Z (tcp / refused)"
    assert "- first bad sample: 2026-11-22T06:00:00Z" in got["Message"]
    assert {name: each["Value"] for name, each in got["MessageAttributes"].items()} == {
        "event": "opened",
        "target": "dashboard",
        "kind": "down",
    }


def test_the_client_is_one_for_the_region_of_the_topic(topic, s3_endpoint, monkeypatch):
    arn, received = topic
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    publish(arn, sns_client)
    assert len(received()) == 1


def test_a_topic_that_is_not_there_is_a_refusal(aws):
    slept = []
    with pytest.raises(Undelivered, match="answered 404 NotFound") as caught:
        publish(f"arn:aws:sns:{REGION}:123456789012:nothing", lambda _: aws("sns"), slept=slept)
    assert (caught.value.hopeless, slept) == (True, [])


def test_no_answer_is_tried_again_and_then_given_up(closed_port):
    made = []

    def client_for(_):
        made.append(boto3.client("sns", endpoint_url=f"http://127.0.0.1:{closed_port}", config=QUICK, **PLACE))
        return made[-1]

    with pytest.raises(Undelivered, match="no answer: EndpointConnectionError"):
        publish(f"arn:aws:sns:{REGION}:1:x", client_for)
    assert len(made) == 3


class Refusing:
    """A client that fails in turn as it is told, then publishes."""

    def __init__(self, *codes):
        self.codes, self.published = list(codes), []

    def publish(self, **fields):
        if self.codes:
            status, code = self.codes.pop(0)
            response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise boto3.client("sns", **PLACE).exceptions.ClientError(response, "Publish")
        self.published.append(fields)
        return {}


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalError"), (503, ""), (429, "Throttled"), (400, "Throttling")]
)
def test_what_passes_is_tried_again(status, code):
    client = Refusing((status, code))
    publish("arn:aws:sns:eu-west-1:1:x", lambda _: client)
    assert len(client.published) == 1


@pytest.mark.parametrize(
    ("code", "hopeless"), [("AuthorizationError", True), ("InvalidClientTokenId", True), ("InvalidParameter", False)]
)
def test_a_refusal_is_not_asked_for_again(code, hopeless):
    client = Refusing((403, code))
    with pytest.raises(Undelivered, match=f"answered 403 {code}") as caught:
        publish("arn:aws:sns:eu-west-1:1:x", lambda _: client)
    assert (caught.value.hopeless, client.published) == (hopeless, [])


def test_without_credentials_it_says_so(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Undelivered, match="cannot be asked with what is configured: NoCredentialsError"):
        publish("arn:aws:sns:eu-west-1:1:x", sns_client)


def test_a_fifo_topic_gets_each_alert_once_and_in_order():
    fields = publication(alert("opened", DOWN), "arn:aws:sns:eu-west-1:1:x.fifo")
    again = publication(alert("opened", DOWN), "arn:aws:sns:eu-west-1:1:x.fifo")
    other = publication(alert("opened", DOWN, nth=2), "arn:aws:sns:eu-west-1:1:x.fifo")
    assert fields["MessageGroupId"] == "dashboard"
    assert fields["MessageDeduplicationId"] == again["MessageDeduplicationId"] != other["MessageDeduplicationId"]


@pytest.mark.parametrize("headline", ["x" * 300, "größer\nals\tASCII \u202e", "dashboard is down"])
def test_a_subject_is_short_ascii_on_one_line(headline):
    found = subject(headline)
    assert len(found) <= 100
    assert found.isascii()
    assert found.isprintable()
