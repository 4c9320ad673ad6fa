"""Who may take the stack's roles: workflows of one repository from one environment each, and the instance its own."""

import pytest

from ops.settings import Settings
from ops.stack.policy import Decision, Principal, Request, decide
from tests.stack_documents import ACCOUNT, GITHUB_HOST, role_arn, settings_with, stack_of

ROLES = {"EtlRole": "etl", "ProbeRole": "probe", "DeployRole": "production"}
WORKFLOW = Principal("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB_HOST}")
OLD, IMMUTABLE = "repo:shop-owner/kpi-ops", "repo:shop-owner@111/kpi-ops@222"


@pytest.fixture(scope="module")
def stack():
    return stack_of(settings_with())


def token(**claims):
    """The keys that STS makes of a token of GitHub's; a claim of None is missing."""
    told = {"aud": "sts.amazonaws.com", "repository_id": "222", "repository_owner_id": "111"} | claims
    return {f"{GITHUB_HOST}:{name}": value for name, value in told.items() if value is not None}


def taken(stack, role, context, *, principal=WORKFLOW, action="sts:AssumeRoleWithWebIdentity"):
    document = stack.properties(role)["AssumeRolePolicyDocument"]
    return decide([document], Request(action, role_arn(role), context, principal))


@pytest.mark.parametrize(("role", "environment"), ROLES.items())
@pytest.mark.parametrize("subject", [OLD, IMMUTABLE])
def test_a_workflow_of_the_repository_in_the_role_s_environment_takes_it(stack, role, environment, subject):
    context = token(sub=f"{subject}:environment:{environment}", environment=environment)
    assert taken(stack, role, context) is Decision.ALLOW


@pytest.mark.parametrize(("role", "environment"), ROLES.items())
@pytest.mark.parametrize(
    "claims",
    [
        # another repository, or one of another owner, also with this one's names
        {"sub": "repo:shop-owner/other:environment:ENV", "repository_id": "333"},
        {"sub": "repo:evil/kpi-ops:environment:ENV", "repository_id": "333", "repository_owner_id": "666"},
        {"sub": "repo:evil@666/kpi-ops@333:environment:ENV", "repository_id": "333", "repository_owner_id": "666"},
        {"sub": f"{OLD}:environment:ENV", "repository_id": "333"},  # the name has changed hands
        {"sub": "repo:shop-owner@111/kpi-ops@333:environment:ENV", "repository_id": "333"},
        {"sub": "repo:shop-owner@666/kpi-ops@222:environment:ENV"},
        {"sub": "repo:shop-owner@222/kpi-ops@111:environment:ENV"},
        # pull requests, branches and tags, without the environment
        {"sub": f"{OLD}:pull_request"},
        {"sub": f"{IMMUTABLE}:pull_request"},
        {"sub": f"{OLD}:ref:refs/heads/main"},
        {"sub": f"{IMMUTABLE}:ref:refs/heads/main"},
        {"sub": f"{OLD}:ref:refs/heads/environment:ENV"},
        {"sub": f"{OLD}:ref:refs/tags/v1"},
        {"sub": OLD},
        {"sub": IMMUTABLE},
        {"sub": None},
        {"sub": ""},
        # another environment
        {"sub": f"{OLD}:environment:staging"},
        {"sub": f"{OLD}:environment:"},
        {"sub": f"{OLD}:environment:ENV2"},
        {"sub": f"{OLD}:environment:xENV"},
        # names that begin or end alike, and letters that a pattern would know
        {"sub": "repo:shop-owner/kpi-ops2:environment:ENV"},
        {"sub": "repo:shop-owner/x-kpi-ops:environment:ENV"},
        {"sub": "repo:shop-owner2/kpi-ops:environment:ENV"},
        {"sub": "repo:x-shop-owner/kpi-ops:environment:ENV"},
        {"sub": "xrepo:shop-owner/kpi-ops:environment:ENV"},
        {"sub": "repo:shop-owner@1111/kpi-ops@222:environment:ENV"},
        {"sub": "repo:shop-owner@111/kpi-ops@2222:environment:ENV"},
        {"sub": f"{OLD}:environment:ENV:ref:refs/heads/main"},
        {"sub": "repo:SHOP-OWNER/KPI-OPS:environment:ENV"},
        {"sub": "repo:*:environment:ENV"},
        {"sub": f"{OLD}:*"},
        {"sub": f"{OLD}:environment:ENV", "repository_id": None},
        {"sub": f"{IMMUTABLE}:environment:ENV", "repository_id": None},
        {"sub": f"{OLD}:environment:ENV", "repository_id": ""},
        {"sub": f"{OLD}:environment:ENV", "repository_id": "2222"},
        # a token that is meant for somebody else
        {"sub": f"{OLD}:environment:ENV", "aud": "https://github.com/shop-owner"},
        {"sub": f"{OLD}:environment:ENV", "aud": "sts.amazonaws.com.evil.example"},
        {"sub": f"{OLD}:environment:ENV", "aud": "STS.amazonaws.com"},
        {"sub": f"{OLD}:environment:ENV", "aud": None},
    ],
    ids=str,
)
def test_no_other_token_takes_a_role(stack, role, environment, claims):
    said = {name: value and value.replace("ENV", environment) for name, value in claims.items()}
    assert taken(stack, role, token(**said)) is not Decision.ALLOW


@pytest.mark.parametrize("role", ROLES)
def test_the_environment_of_one_role_does_not_give_another(stack, role):
    for other, environment in ROLES.items():
        context = token(sub=f"{IMMUTABLE}:environment:{environment}")
        assert (taken(stack, role, context) is Decision.ALLOW) is (role == other)


STRANGERS = [
    None,
    Principal("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.example"),
    Principal("Federated", f"arn:aws:iam::210987654321:oidc-provider/{GITHUB_HOST}"),
    Principal("Federated", f"arn:aws:iam::{ACCOUNT}:saml-provider/{GITHUB_HOST}"),
    Principal("Federated", "cognito-identity.amazonaws.com"),
    Principal("AWS", f"arn:aws:iam::{ACCOUNT}:root"),
    Principal("AWS", role_arn("EC2_Project02_S3ReadOnly")),
    Principal("AWS", "arn:aws:iam::210987654321:root"),
    Principal("Service", "ec2.amazonaws.com"),
    Principal("Service", "ssm.amazonaws.com"),
]


@pytest.mark.parametrize("principal", STRANGERS, ids=str)
@pytest.mark.parametrize("action", ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRole", "sts:AssumeRoleWithSAML"])
@pytest.mark.parametrize(("role", "environment"), ROLES.items())
def test_nobody_but_github_takes_a_role_of_its_workflows(stack, role, environment, principal, action):
    context = token(sub=f"{IMMUTABLE}:environment:{environment}")
    assert taken(stack, role, context, principal=principal, action=action) is not Decision.ALLOW


def test_a_workflow_takes_its_role_with_its_token_alone(stack):
    context = token(sub=f"{IMMUTABLE}:environment:etl")
    assert taken(stack, "EtlRole", context, action="sts:AssumeRole") is not Decision.ALLOW


def test_the_host_s_role_is_the_instance_s_alone(stack):
    ec2 = Principal("Service", "ec2.amazonaws.com")
    assert taken(stack, "Role", {}, principal=ec2, action="sts:AssumeRole") is Decision.ALLOW
    for principal in [WORKFLOW, *(stranger for stranger in STRANGERS if stranger != ec2)]:
        for action in ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"):
            context = token(sub=f"{IMMUTABLE}:environment:etl")
            assert taken(stack, "Role", context, principal=principal, action=action) is not Decision.ALLOW


def test_a_provider_that_is_there_already_is_trusted_as_one_that_is_made(stack):
    adopted = stack_of(settings_with(), WORKFLOW.name)
    assert adopted.of_type("IAM::OIDCProvider") == []
    for role in ROLES:
        trust = [made.properties(role)["AssumeRolePolicyDocument"] for made in (stack, adopted)]
        assert trust[0] == trust[1]


def test_a_trust_policy_is_made_of_plain_equality(stack):
    for role in ROLES:
        (statement,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert set(statement["Condition"]) == {"StringEquals"}


def test_without_a_repository_no_role_for_workflows_is_made():
    bare = stack_of(Settings())
    assert bare.of_type("IAM::Role") == ["Role"]
    assert bare.of_type("IAM::OIDCProvider") == []
