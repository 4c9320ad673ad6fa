"""The probe's door: opened for one address, always closed again, and nobody else's rules touched."""

import http.server
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws
from moto.server import ThreadedMotoServer

from etl.errors import StackError
from ops.cloud.address import own_address
from ops.cloud.door import group_named
from ops.settings import DashboardSettings, HostSettings, Settings
from ops.stack.door import MARK, Rule, Wanted, admitting, marked_until, opened, overdue, own_network, sweep, wanted
from ops.stack.knock import Knock, behind, knocked
from ops.stack.signals import unmade

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parent.parent
REGION, NAME, STACK, PORT = "eu-west-2", "project02-streamlit-sg", "project02-kpi", 8501
RUNNER, OTHER = "8.8.8.8/32", "9.9.9.9/32"  # addresses of the internet: those for documents are refused


def door_for(network=RUNNER, *, at=NOW, tag="this-run"):
    return Wanted(network, PORT, at + timedelta(minutes=15), tag)


def rule(
    network=RUNNER, *, description="kpi-ops-probe until 2026-11-22T12:15:00Z", tag="x", ports=(PORT, PORT), **more
):
    return Rule("sgr-1", network, more.get("protocol", "tcp"), *ports, description, tag)


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_the_door_is_the_dashboard_s_port_or_the_one_of_https_where_it_has_a_name():
    settings = Settings(dashboard=DashboardSettings(port=8600))
    assert wanted(settings, "8.8.8.8\n", "tag", NOW) == Wanted(RUNNER, 8600, NOW + timedelta(minutes=15), "tag")
    named = Settings(host=HostSettings(domain="kpi.example.com"))
    assert wanted(named, "8.8.8.8\n", "tag", NOW).port == 443


@pytest.mark.parametrize(
    ("told", "network"),
    [("8.8.8.8", "8.8.8.8/32"), ("8.8.8.8\r\n", "8.8.8.8/32"), ("2606:4700::1111\n", "2606:4700::1111/128")],
)
def test_an_own_address_becomes_a_network_of_itself(told, network):
    assert own_network(told) == network


@pytest.mark.parametrize(
    "told",
    [
        "",
        "\n",
        "8.8.8.8\n9.9.9.9",
        "8.8.8.8\n\n",
        " 8.8.8.8",
        "8.8.8.0/24",
        "0.0.0.0",
        "0.0.0.0/0",
        "::",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "198.51.100.7",
        "224.0.0.1",
        "255.255.255.255",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fd00::1",
        "::1",
        "::ffff:8.8.8.8",
        "ff0e::1",
        "1347440.8",
        "134744072",
        "<html>502 Bad Gateway</html>",
        "\N{FULLWIDTH DIGIT EIGHT}.8.8.8",
    ],
)
def test_what_is_no_public_address_opens_nothing(told):
    with pytest.raises(StackError, match="look without --knock"):
        own_network(told)


# --- whose a rule is -------------------------------------------------------------------------------------------------


def test_a_door_is_known_by_its_description_its_tag_and_its_single_address():
    until = datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert marked_until(rule()) == until
    assert marked_until(rule("2606:4700::1111/128")) == until
    assert door_for().description == rule().description


@pytest.mark.parametrize(
    "somebody_s",
    [
        rule(tag=""),
        rule(description=""),
        rule(description="office"),
        rule(description="kpi-ops-probe"),
        rule(description="kpi-ops-probe until soon"),
        rule(description="kpi-ops-probe until 2026-02-30T00:00:00Z"),
        rule(description="kpi-ops-probe until 2020-01-01T00:00:00Z, do not touch"),
        rule(description="was: kpi-ops-probe until 2020-01-01T00:00:00Z"),
        rule("0.0.0.0/0", description="kpi-ops-probe until 2020-01-01T00:00:00Z"),
        rule("8.8.8.0/24", description="kpi-ops-probe until 2020-01-01T00:00:00Z"),
        rule("", description="kpi-ops-probe until 2020-01-01T00:00:00Z"),
    ],
    ids=repr,
)
def test_a_rule_that_lacks_any_of_the_three_is_somebody_s_and_never_swept(somebody_s):
    assert marked_until(somebody_s) is None
    assert overdue([somebody_s], NOW + timedelta(days=9999)) == []


@pytest.mark.parametrize(
    ("minutes", "swept"),
    [(-60, True), (-1, True), (0, True), (1, False), (15, False), (20, False), (21, True), (60 * 24 * 365, True)],
)
def test_a_door_is_swept_after_its_time_and_when_it_says_a_time_that_no_run_gives(minutes, swept):
    left = rule(description=door_for(at=NOW + timedelta(minutes=minutes - 15)).description)
    assert overdue([left], NOW) == ([left] if swept else [])


@pytest.mark.parametrize("off_s", [-299, 0, 299])
def test_clocks_as_far_apart_as_aws_suffers_sweep_no_door_within_its_first_ten_minutes(off_s):
    theirs = rule(description=door_for(at=NOW + timedelta(seconds=off_s)).description)
    assert overdue([theirs], NOW) == []
    assert overdue([theirs], NOW + timedelta(minutes=10)) == []
    assert overdue([theirs], NOW + timedelta(minutes=20)) == [theirs]


@pytest.mark.parametrize(
    ("there", "lets_in"),
    [
        (rule("8.8.8.8/32"), True),
        (rule("8.8.0.0/16"), True),
        (rule("0.0.0.0/0"), True),
        (rule("8.8.8.9/32"), False),
        (rule("::/0"), False),
        (rule(""), False),
        (rule(ports=(0, 65535)), True),
        (rule(ports=(22, 22)), False),
        (rule(ports=(8502, 9000)), False),
        (rule(protocol="udp"), False),
        (rule(protocol="-1", ports=(-1, -1)), True),
    ],
    ids=repr,
)
def test_a_rule_that_lets_the_address_in_is_recognised(there, lets_in):
    assert admitting([there], door_for()) == (there if lets_in else None)


def test_a_rule_that_stays_goes_before_another_run_s_door():
    stays = rule("8.8.0.0/16", description="", tag="")
    assert admitting([rule(), stays], door_for()) == stays


# --- against EC2 as moto plays it ------------------------------------------------------------------------------------


def a_group(client, stack=STACK):
    vpc = client.create_vpc(CidrBlock="10.20.0.0/24")["Vpc"]["VpcId"]
    group = client.create_security_group(GroupName=NAME, Description="x", VpcId=vpc)["GroupId"]
    client.create_tags(Resources=[group], Tags=[{"Key": "Stack", "Value": stack}])
    return group


@pytest.fixture(scope="module")
def account():
    with mock_aws():
        yield ec2()


@pytest.fixture
def client(account):
    a_group(account)
    yield account
    no_group(account)


def no_group(client):
    for group in client.describe_security_groups(Filters=[{"Name": "group-name", "Values": [NAME]}])["SecurityGroups"]:
        client.delete_security_group(GroupId=group["GroupId"])


def ec2(region=REGION, **where):
    secret = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("ec2", region_name=region, **secret, **where)


def group_of(client):
    return group_named(NAME, STACK, client)


def told(client):
    return {(rule.network, rule.description, rule.tag) for rule in group_of(client).rules()}


def by_hand(client, network, description="the office"):
    ranges = [{"CidrIp": network, "Description": description}]
    permission = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "IpRanges": ranges}
    client.authorize_security_group_ingress(GroupId=group_of(client).id, IpPermissions=[permission])


class Strange:
    """A client of which some calls go wrong; `wrong`: by name, what is raised (once each), before or after the call."""

    def __init__(self, client, *, after=False, **wrong):
        self._client, self._after, self._wrong = client, after, wrong

    def __getattr__(self, name):
        def call(**fields):
            error = self._wrong.pop(name, None)
            if error and self._after:
                getattr(self._client, name)(**fields)
            if error:
                raise error
            return getattr(self._client, name)(**fields)

        return call


def refused(code, action):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, action)


UNANSWERED = ConnectTimeoutError(endpoint_url="https://ec2")


@pytest.mark.parametrize("network", [RUNNER, "2606:4700::1111/128"])
def test_the_door_is_open_within_and_closed_after(client, network):
    door = door_for(network)
    with opened(group_of(client), door, NOW) as within:
        assert told(client) == {(network, "kpi-ops-probe until 2026-11-22T12:15:00Z", "this-run")}
        (made,) = group_of(client).rules()
        assert (made.protocol, made.first_port, made.last_port) == ("tcp", PORT, PORT)
        assert within.held()
    assert told(client) == set()
    assert not within.held()


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), SystemExit(2), StackError("a", expected="", to_do="")]
)
def test_the_door_is_closed_whatever_is_raised_within(client, error):
    with pytest.raises(type(error)) as raised, opened(group_of(client), door_for(), NOW):
        raise error
    assert raised.value is error
    assert told(client) == set()


def test_a_run_that_never_closed_is_swept_by_the_next_one_after_fifteen_minutes_and_not_before(client):
    group_of(client).allow(door_for(OTHER, tag="killed"))
    soon, later = NOW + timedelta(minutes=14), NOW + timedelta(minutes=15)
    with opened(group_of(client), door_for(at=soon), soon):
        assert {network for network, *_ in told(client)} == {OTHER, RUNNER}
    assert {network for network, *_ in told(client)} == {OTHER}
    with opened(group_of(client), door_for(at=later), later):
        assert {network for network, *_ in told(client)} == {RUNNER}
    assert told(client) == set()


def test_a_run_killed_at_the_same_address_does_not_keep_the_next_one_out(client):
    group_of(client).allow(door_for(tag="killed"))
    later = NOW + timedelta(minutes=30)
    with opened(group_of(client), door_for(at=later), later) as door:
        assert door.held()
        assert {tag for *_, tag in told(client)} == {"this-run"}
    assert told(client) == set()


def test_rules_of_people_stay_whatever_they_let_in(client):
    by_hand(client, "9.9.0.0/16", "kpi-ops-probe until 2020-01-01T00:00:00Z")  # marked, and yet no door: no tag
    by_hand(client, OTHER)
    before = told(client)
    with opened(group_of(client), door_for(), NOW):
        pass
    assert told(client) == before


@pytest.mark.parametrize("network", [RUNNER, "8.8.0.0/16", "0.0.0.0/0"])
def test_who_is_let_in_already_opens_and_closes_nothing(client, network):
    by_hand(client, network)
    before = told(client)
    with opened(group_of(client), door_for(), NOW) as door:
        assert told(client) == before
        assert door.held()
    assert told(client) == before


def test_a_person_who_lets_the_address_in_meanwhile_keeps_the_rule(client):
    class Meanwhile(Strange):
        def __getattr__(self, name):
            if name == "authorize_security_group_ingress":
                by_hand(client, RUNNER)
            return super().__getattr__(name)

    with opened(group_of(Meanwhile(client)), door_for(), NOW) as door:
        assert door.held()
    assert told(client) == {(RUNNER, "the office", "")}


def test_two_runs_at_two_addresses_do_not_know_of_each_other(client):
    with opened(group_of(client), door_for(RUNNER, tag="a"), NOW) as one:
        with opened(group_of(client), door_for(OTHER, tag="b"), NOW) as other:
            assert one.held()
            assert other.held()
        assert one.held()
        assert {tag for *_, tag in told(client)} == {"a"}
    assert told(client) == set()


def test_of_two_runs_at_one_address_the_second_is_told_when_the_first_has_closed_the_door(client):
    first = opened(group_of(client), door_for(tag="a"), NOW)
    first.__enter__()
    with opened(group_of(client), door_for(tag="b"), NOW) as second:
        assert second.held()
        first.__exit__(None, None, None)
        assert not second.held()
    assert told(client) == set()


# --- what EC2 does not do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["describe_security_group_rules", "authorize_security_group_ingress"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("UnauthorizedOperation", "AuthorizeSecurityGroupIngress"), "door_for_probe"),
        (refused("RulesPerSecurityGroupLimitExceeded", "AuthorizeSecurityGroupIngress"), "RulesPerSecurityGroup"),
        (UNANSWERED, "EC2 gave no answer"),
        (ValueError("Invalid endpoint"), "Invalid endpoint"),
    ],
)
def test_a_door_that_cannot_be_opened_is_one_clear_error_and_nothing_is_looked_at(client, call, error, said):
    group = group_of(client)
    strange = type(group)(group.id, Strange(client, **{call: error}))
    with pytest.raises(StackError, match=said), opened(strange, door_for(), NOW):
        pytest.fail("the door is not open")
    assert told(client) == set()


def test_a_rule_that_was_made_although_no_answer_came_is_taken_back(client):
    group = group_of(client)
    strange = Strange(client, after=True, authorize_security_group_ingress=UNANSWERED)
    with pytest.raises(StackError, match="no answer"), opened(type(group)(group.id, strange), door_for(), NOW):
        pytest.fail("the door is not open")
    assert told(client) == set()


def test_a_rule_that_was_made_by_a_question_asked_twice_is_ours_to_close(client):
    group = group_of(client)
    duplicate = refused("InvalidPermission.Duplicate", "AuthorizeSecurityGroupIngress")
    strange = Strange(client, after=True, authorize_security_group_ingress=duplicate)
    with opened(type(group)(group.id, strange), door_for(), NOW) as door:
        assert door.held()
    assert told(client) == set()


def test_a_door_that_cannot_be_closed_says_which_rule_is_open_and_how_it_goes(client):
    group = group_of(client)
    error = refused("UnauthorizedOperation", "RevokeSecurityGroupIngress")
    strange = type(group)(group.id, Strange(client, revoke_security_group_ingress=error))
    with pytest.raises(StackError) as raised, opened(strange, door_for(), NOW):
        (left,) = group.rules()
    text = str(raised.value)
    assert all(word in text for word in (left.id, group.id, RUNNER, str(PORT), "2026-11-22T12:15:00Z"))
    assert told(client)
    sweep(group, NOW + timedelta(minutes=15))
    assert told(client) == set()


def test_a_door_that_somebody_else_has_closed_is_closed(client):
    with opened(group_of(client), door_for(), NOW) as door:
        sweep(group_of(client), NOW + timedelta(minutes=15))
        assert not door.held()
    assert told(client) == set()


def test_a_door_is_closed_once(client):
    group = group_of(client)
    refuses = Strange(client)
    with opened(type(group)(group.id, refuses), door_for(), NOW) as door:
        door.close()
        refuses._wrong["revoke_security_group_ingress"] = UNANSWERED
    assert told(client) == set()


def test_where_nobody_tells_whether_it_is_open_it_is_not_taken_for_open(client):
    group = group_of(client)
    strange = Strange(client)
    with opened(type(group)(group.id, strange), door_for(), NOW) as door:
        strange._wrong["describe_security_group_rules"] = UNANSWERED
        assert not door.held()
        assert door.held()


def test_a_group_that_is_not_there_is_one_clear_error(client):
    with pytest.raises(StackError, match="fab provision"):
        group_named("another", STACK, client)


def test_of_two_groups_of_one_name_the_stack_s_own_is_meant(client):
    a_group(client, "another")
    with pytest.raises(StackError, match="but 0"):
        group_named(NAME, STACK, client)
    answer = client.describe_security_groups(Filters=[{"Name": "group-name", "Values": [NAME]}])
    for said in answer["SecurityGroups"]:  # moto lets nobody set tags of AWS's own
        said["Tags"] = [{"Key": "aws:cloudformation:stack-name", "Value": tag["Value"]} for tag in said["Tags"]]

    class Tagged:
        def describe_security_groups(self, **_fields):
            return answer

    stacks = {said["GroupId"]: said["Tags"][0]["Value"] for said in answer["SecurityGroups"]}
    assert stacks[group_named(NAME, STACK, Tagged()).id] == STACK


def test_rules_are_read_page_by_page():
    class Pages:
        def describe_security_group_rules(self, **fields):
            page = int(fields.get("NextToken", 0))
            said = {"SecurityGroupRuleId": f"sgr-{page}", "IpProtocol": "-1", "IsEgress": page == 1}
            return {"SecurityGroupRules": [said], **({"NextToken": str(page + 1)} if page < 2 else {})}

    group = group_named(NAME, STACK, type("Client", (Pages,), {"describe_security_groups": one_group})())
    assert [rule.id for rule in group.rules()] == ["sgr-0", "sgr-2"]


def one_group(_self, **_fields):
    return {"SecurityGroups": [{"GroupId": "sg-1"}]}


# --- a check that knocks ---------------------------------------------------------------------------------------------

PAGE = "http://203.0.113.9:8501"
WITH_DOMAIN = Settings(host=HostSettings(domain="kpi.example.com"))


@pytest.mark.parametrize(
    ("url", "settings", "is_behind"),
    [
        (PAGE, Settings(), True),
        (f"{PAGE}/customers", Settings(), True),
        ("tcp://203.0.113.9:8501", Settings(), True),
        ("http://203.0.113.9", Settings(), False),
        ("https://status.example.com/", Settings(), False),
        ("", Settings(), False),
        ("https://kpi.example.com/", WITH_DOMAIN, True),
        ("https://KPI.example.com:443/", WITH_DOMAIN, True),
        ("https://status.example.com/", WITH_DOMAIN, False),
        ("http://kpi.example.com/", WITH_DOMAIN, False),
        (PAGE, WITH_DOMAIN, False),
        ("http://203.0.113.9:port", Settings(), False),
    ],
)
def test_what_is_behind_the_door_is_known_by_its_address(url, settings, is_behind):
    assert behind(url, settings) is is_behind


def knocking(client, settings=None, address=lambda: "8.8.8.8\n"):
    return knocked(settings or Settings(), now=NOW, tag="this-run", client=lambda: client, address=address)


def test_a_check_that_knocks_sees_what_is_behind_the_door(client):
    with knocking(client) as knock:
        assert {network for network, *_ in told(client)} == {RUNNER}
        assert knock.warnings == ()
        assert not knock.kept_out(PAGE)
    assert told(client) == set()
    assert knock.kept_out(PAGE)


def fails(*_arguments):
    raise StackError("no address", expected="one", to_do="look without --knock")


@pytest.mark.parametrize("what", ["address", "nonsense", "client", "group", "rights"])
def test_a_door_that_stays_shut_stops_no_check_and_nothing_behind_it_is_called_down(client, what):
    settings, address, asked = Settings(), lambda: "8.8.8.8", client
    if what == "address":
        address = fails
    elif what == "nonsense":
        address = lambda: "<html>"  # noqa: E731 - as its neighbours
    elif what == "group":
        settings = settings.model_copy(update={"stack": settings.stack.model_copy(update={"security_group": "none"})})
    elif what == "rights":
        asked = Strange(client, authorize_security_group_ingress=refused("UnauthorizedOperation", "Authorize"))
    make = fails if what == "client" else lambda: asked
    with knocked(settings, now=NOW, tag="x", client=make, address=address) as knock:
        (warning,) = knock.warnings
        assert "could not be opened" in warning
        assert "\n" not in warning
        assert knock.kept_out(PAGE)
        assert not knock.kept_out("https://status.example.com/")
    assert told(client) == set()


def test_what_goes_wrong_within_a_check_is_raised_as_it_is_and_the_door_is_closed(client):
    error = StackError("something else", expected="", to_do="")
    with pytest.raises(StackError) as raised, knocking(client):
        raise error
    assert raised.value is error
    assert told(client) == set()


def test_a_check_is_told_at_its_end_that_the_door_is_open_still(client):
    error = refused("UnauthorizedOperation", "RevokeSecurityGroupIngress")
    done = []
    with (
        pytest.raises(StackError, match="could not be closed"),
        knocking(Strange(client, revoke_security_group_ingress=error)),
    ):
        done.append("looked")
    assert done == ["looked"]


def test_nobody_is_asked_about_the_door_for_what_is_not_behind_it():
    assert not Knock(Settings(), fails).kept_out("https://status.example.com/")


# --- orders to stop --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def heard():
    """Orders are heard, also where whoever runs the tests in the background has them ignored."""
    wanted = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def ending(done):
    try:
        yield
    finally:
        done.append("threads have ended")


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_an_order_to_stop_closes_at_once_and_is_raised(number, error):
    done, before = [], signal.getsignal(number)

    def look():
        with unmade(lambda: done.append("open"), lambda: done.append("close")), ending(done):
            signal.raise_signal(number)
            pytest.fail("it goes on")

    with pytest.raises(error):
        look()
    assert done[:3] == ["open", "close", "threads have ended"]
    assert signal.getsignal(number) is before


def test_an_order_while_it_is_opened_waits_until_there_is_something_to_close():
    done = []

    def make():
        signal.raise_signal(signal.SIGTERM)
        done.append("open")

    with pytest.raises(SystemExit) as raised, unmade(make, lambda: done.append("close")):
        pytest.fail("nobody looks")
    assert raised.value.code == 128 + signal.SIGTERM
    assert done[:2] == ["open", "close"]


def test_an_order_while_it_is_closed_waits_until_it_is_closed():
    done = []

    def close():
        done.append("begun")
        signal.raise_signal(signal.SIGINT)
        done.append("closed")

    with pytest.raises(KeyboardInterrupt), unmade(lambda: None, close):
        done.append("looked")
    assert done == ["looked", "begun", "closed"]


def test_an_order_goes_before_what_could_not_be_opened():
    def make():
        signal.raise_signal(signal.SIGTERM)
        raise StackError("a", expected="b", to_do="c")

    with pytest.raises(SystemExit), unmade(make, lambda: None):
        pytest.fail("nobody looks")


def test_what_could_not_be_closed_is_told_though_it_was_ordered_to_stop():
    def close():
        raise StackError("it is open", expected="b", to_do="c")

    with pytest.raises(StackError, match="it is open"), unmade(lambda: None, close):
        signal.raise_signal(signal.SIGTERM)


def test_a_closing_that_fails_once_is_tried_again():
    failures = [StackError("a", expected="b", to_do="c")]

    def close():
        if failures:
            raise failures.pop()

    with pytest.raises(SystemExit), unmade(lambda: None, close):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unmade(lambda: None, lambda: None):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_signals_are_left_alone():
    done, before = [], signal.getsignal(signal.SIGTERM)

    def run():
        with unmade(lambda: done.append("open"), lambda: done.append("close")):
            done.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == ["open", True, "close"]


KNOCKS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
import boto3
from ops.cloud.door import group_named
from ops.stack.door import Wanted, opened
now = datetime.fromisoformat(sys.argv[1])
client = boto3.client("ec2", region_name="eu-west-1", endpoint_url=sys.argv[2])
group = group_named("project02-streamlit-sg", "project02-kpi", client)
with opened(group, Wanted("8.8.8.8/32", 8501, now + timedelta(minutes=15), "x"), now):
    with ThreadPoolExecutor(1) as pool:
        print("looking", flush=True)
        pool.submit(time.sleep, 60).result()
"""


@pytest.fixture
def server():
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def looking(server):
    """A process that has opened the door of a group of its own and looks for a minute."""
    client = ec2("eu-west-1", endpoint_url=server)
    a_group(client)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    command = [sys.executable, "-c", KNOCKS, NOW.isoformat(), server]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "looking\n"
        yield client, process
        process.kill()
    no_group(client)


def test_a_process_that_is_told_to_stop_closes_the_door_though_its_threads_look_on(looking):
    client, process = looking
    assert {network for network, *_ in told(client)} == {RUNNER}
    process.terminate()
    while told(client):
        assert process.poll() is None
    assert process.poll() is None  # it still waits for its thread: the door did not


def test_a_process_that_is_killed_leaves_a_door_that_the_next_one_sweeps(looking):
    client, process = looking
    process.kill()
    process.wait()
    assert {network for network, *_ in told(client)} == {RUNNER}
    later = NOW + timedelta(minutes=15)
    with opened(group_of(client), door_for(OTHER, at=later), later):
        assert {network for network, *_ in told(client)} == {OTHER}
    assert told(client) == set()


# --- the own address -------------------------------------------------------------------------------------------------


@pytest.fixture
def service():
    class Answers(http.server.BaseHTTPRequestHandler):
        status, text = 200, b"8.8.8.8\n"

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(self.text)

        def log_message(self, *_arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Answers, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_service_s_words_are_told_as_they_are(service):
    assert own_network(own_address(service[1])) == RUNNER


@pytest.mark.parametrize(("status", "text"), [(503, b"8.8.8.8\n"), (302, b"8.8.8.8\n"), (200, b"\xff\xfe")])
def test_a_service_that_says_nothing_of_use_is_one_clear_error(service, status, text):
    service[0].status, service[0].text = status, text
    with pytest.raises(StackError, match="own address"):
        own_address(service[1])


def test_an_endless_answer_is_not_read_to_its_end(service):
    service[0].text = b"8" * 1_000_000
    with pytest.raises(StackError):
        own_network(own_address(service[1]))


def test_a_service_that_is_not_there_is_one_clear_error():
    with pytest.raises(StackError, match="no answer"):
        own_address("http://127.0.0.1:1/")


def test_what_a_door_says_of_itself_is_taken_by_ec2_as_a_description():
    assert set(door_for().description) <= set("abcdefghijklmnopqrstuvwxyzTZ0123456789 ._-:/()#,@[]+=&;{}!$*")
    assert MARK in door_for().description
