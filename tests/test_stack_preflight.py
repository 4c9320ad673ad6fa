from dataclasses import replace

import pytest

from etl.errors import StackError
from ops.settings import AgentSettings, HostSettings, Settings
from ops.stack.preflight import Facts, Who, ami, gather, inputs, judge, no_door_is_set, who, wrong_account
from tests.scripted_cloudformation import ACCOUNT, CALLER, IMAGE, REGION, Account, Desk, ScriptedCloudFormation, stubbed

WHO = Who(ACCOUNT, CALLER, REGION)
GOOD = Facts(WHO, ("eu-west-1a",), bucket="free", bucket_region="", provider="")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
REPOSITORY = {"github": {"repository": "ana/shop", "owner_id": "1", "repository_id": "2"}}


def settings(**stack):
    return Settings(stack=stack)


def problems(facts=GOOD, address="", **stack):
    return [str(problem) for problem in judge(facts, settings(**stack), address).problems]


def notes(facts=GOOD, address="", **stack):
    return " | ".join(judge(facts, settings(**stack), address).notes)


def gathered(tmp_path, account=None, own=(), **stack):
    desk = Desk(tmp_path, ScriptedCloudFormation(), account, settings=settings(**stack)).desk
    return gather(desk.clients, WHO, desk.settings, frozenset(own))


# --- judging


def test_the_settings_as_they_come_find_nothing_wrong_with_an_empty_account():
    assert problems() == []


def test_another_account_than_the_one_that_is_set_stops():
    (problem,) = problems(expected_account_id="999988887777")
    assert ACCOUNT in problem
    assert CALLER in problem
    assert "expected: account 999988887777" in problem
    assert wrong_account(WHO, ACCOUNT) is None


def test_what_aws_would_not_take_is_told_with_all_else_that_is_wrong():
    told = problems(replace(GOOD, zones=()), security_group="sg-mine")
    assert [problem.partition(" ")[0] for problem in told] == ["[stack]", "t2.micro"]
    assert "sg-mine" in told[0]


def test_a_type_that_is_not_offered_there_stops():
    (problem,) = problems(replace(GOOD, zones=()))
    assert f"t2.micro is not offered in {REGION}" in problem


def test_a_bucket_of_somebody_else_stops_with_a_name_that_is_likely_free():
    (problem,) = problems(replace(GOOD, bucket="another's"))
    assert "belongs to another account" in problem
    assert f'"project02-kpi-ecommerce-{ACCOUNT}"' in problem


def test_a_name_that_is_offered_for_a_bucket_is_one_that_s3_takes():
    long = Settings(s3={"bucket": "b" * 63})
    (problem,) = judge(replace(GOOD, bucket="another's"), long).problems
    assert Settings(s3={"bucket": problem.to_do.split('"')[1]})


def test_our_own_bucket_in_another_region_stops():
    (problem,) = problems(replace(GOOD, bucket="ours", bucket_region="us-east-1"))
    assert "is in us-east-1" in problem


def test_our_own_bucket_is_taken_over_and_that_is_told():
    facts = replace(GOOD, bucket="ours", bucket_region=REGION, adopt=True)
    assert problems(facts) == []
    assert "takes it over with what is in it" in notes(facts)


def test_a_key_pair_that_is_not_there_stops():
    (problem,) = problems(replace(GOOD, key_pair=False), key_pair="ana")
    assert f"there is no key pair ana in {REGION}" in problem


@pytest.mark.parametrize(
    ("networks", "seen"),
    [
        (["198.51.100.7/32", "198.51.100.7/32"], "198.51.100.7/32 stands there twice"),
        (["0.0.0.0/1"], "0.0.0.0/1 is a good part of the internet"),
        (["::/3"], "::/3 is a good part of the internet"),
        (["192.168.1.0/24"], "192.168.1.0/24 is of some inner network"),
        (["10.1.2.3/32"], "10.1.2.3/32 is of some inner network"),
        (["127.0.0.1/32"], "127.0.0.1/32 is of some inner network"),
        (["fd00::/64"], "fd00::/64 is of some inner network"),
    ],
)
@pytest.mark.parametrize("setting", ["admin_networks", "viewer_networks"])
def test_a_network_that_cannot_be_meant_stops_with_our_own_address_as_an_offer(setting, networks, seen):
    (problem,) = problems(address="198.51.100.9\n", **{setting: networks})
    assert f"[stack] {setting}: {seen}" in problem
    assert 'set it to ["198.51.100.9/32"]' in problem


def test_no_way_in_stops_with_our_own_address_as_an_offer():
    (problem,) = problems(ssm=False, address="2001:db8::9")
    assert "nobody could log in" in problem
    assert '["2001:db8::9/128"]' in problem
    assert problems(ssm=False, admin_networks=["198.51.100.7/32"]) == []


@pytest.mark.parametrize("address", ["", "<html>", "1.2.3"])
def test_an_address_that_nobody_knows_is_not_offered(address):
    (problem,) = problems(ssm=False, address=address)
    assert "like 203.0.113.7/32" in problem


def test_a_dashboard_that_nobody_will_see_and_one_that_all_will_see_are_told():
    assert "nobody will see the dashboard" in notes()
    assert "nobody will see" not in notes(viewer_networks=["198.51.100.7/32"])
    assert "open to the world" in notes(open_to_the_world=True)


def test_alarms_that_nothing_would_tell_of_are_told_of_before_they_ring():
    assert "ring for ever" in notes()
    told = Settings(host=HostSettings(agent=AgentSettings(install=True)))
    assert "ring for ever" not in " | ".join(judge(GOOD, told).notes)


def test_wide_networks_and_those_without_effect_are_told():
    told = notes(viewer_networks=["198.51.0.0/16", "2001:db8::/32", "198.51.100.7/32"])
    assert "198.51.0.0/16 is 65536 addresses" in told
    assert "2001:db8::/32 has no effect" in told
    assert "198.51.100.7/32" not in told


def test_our_address_is_only_needed_where_a_door_is_not_set():
    assert no_door_is_set(settings().stack)
    both = {"admin_networks": ["198.51.100.7/32"], "viewer_networks": ["198.51.100.7/32"]}
    assert not no_door_is_set(settings(**both).stack)


# --- gathering


def test_the_zones_that_offer_the_type_are_those_of_the_region_by_name(tmp_path):
    account = Account()
    assert gathered(tmp_path, account).zones == ("eu-west-1a", "eu-west-1b")
    account.zones = [f"{REGION}-lon-1a"]
    assert gathered(tmp_path, account).zones == ()


def test_a_bucket_is_free_ours_or_anothers_and_the_stacks_own_is_not_even_asked_for(tmp_path):
    account = Account()
    assert gathered(tmp_path, account).bucket == "free"
    account.bucket = REGION
    found = gathered(tmp_path, account)
    assert (found.bucket, found.bucket_region, found.adopt) == ("ours", REGION, True)
    account.bucket = "another's"
    assert gathered(tmp_path, account).bucket == "another's"
    found = gathered(tmp_path, account, own=("Bucket",))
    assert (found.bucket, found.adopt) == ("ours", False)


def test_a_bucket_that_is_redirected_to_another_region_is_known_to_be_there(tmp_path):
    client, stubber = stubbed("s3")
    stubber.add_client_error(
        "head_bucket", "301", http_status_code=301, response_meta={"HTTPHeaders": {"x-amz-bucket-region": "us-east-1"}}
    )
    desk = Desk(tmp_path, ScriptedCloudFormation()).desk
    found = gather(replace(desk.clients, s3=client), WHO, desk.settings, frozenset())
    assert found.bucket_region == "us-east-1"


def test_a_bucket_that_cannot_be_asked_for_is_an_error_and_not_free(tmp_path):
    client, stubber = stubbed("s3")
    stubber.add_client_error("head_bucket", "500", http_status_code=500)
    desk = Desk(tmp_path, ScriptedCloudFormation()).desk
    with pytest.raises(StackError, match="s3:HeadBucket"):
        gather(replace(desk.clients, s3=client), WHO, desk.settings, frozenset())


def test_githubs_provider_is_used_where_it_is_there_and_the_stacks_own_stays_in_the_template(tmp_path):
    account = Account()
    account.providers = [f"arn:aws:iam::{ACCOUNT}:oidc-provider/example.com", PROVIDER]
    assert gathered(tmp_path, account, **REPOSITORY).provider == PROVIDER
    assert gathered(tmp_path, account, own=("OidcProvider",), **REPOSITORY).provider == ""
    assert gathered(tmp_path, account).provider == ""


def test_a_key_pair_is_only_asked_for_where_one_is_set(tmp_path):
    account = Account()
    assert gathered(tmp_path, account).key_pair
    assert not gathered(tmp_path, account, key_pair="ana").key_pair
    account.key_pairs = ["ana"]
    assert gathered(tmp_path, account, key_pair="ana").key_pair


def test_who_we_are_has_the_partition_of_the_account(tmp_path):
    desk = Desk(tmp_path, ScriptedCloudFormation()).desk
    assert who(desk.clients) == WHO
    china = replace(GOOD, who=Who(ACCOUNT, "arn:aws-cn:iam::111122223333:user/ana", "cn-north-1"))
    assert inputs(china, Settings(), IMAGE, "").partition == "aws-cn"


def test_a_parameter_that_names_no_image_is_said_with_its_setting(tmp_path):
    client, stubber = stubbed("ssm")
    stubber.add_client_error("get_parameter", "ParameterNotFound")
    desk = Desk(tmp_path, ScriptedCloudFormation()).desk
    with pytest.raises(StackError, match=f"no parameter /nowhere in {REGION}") as error:
        ami(replace(desk.clients, ssm=client), "/nowhere")
    assert "[stack] ami_parameter" in error.value.to_do
