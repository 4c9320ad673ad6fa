"""The host's role and profile: what it may do, what it must be able to do, and nothing besides. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops import monitoring
from ops.posture.account import CannotTell
from ops.posture.case import Case
from ops.posture.documents import differences
from ops.posture.rules import Rule
from ops.stack import names
from ops.stack.policy import PolicyError, Principal, Request, allowed

OTHERS = "somebody-elses-bucket"
ELSEWHERE = ("raw/", "other/")  # no prefix holds both but the empty one, which holds everything
INLINE = "aws iam put-role-policy or delete-role-policy --role-name {role}, as `fab render` writes them for Role"
HOUR_S = 3600


def there(case: Case, role: str) -> Iterator[str]:
    """Rule: the role is there, as roles are made."""
    said = case.of(f"role {role}")
    if said is None:
        yield f"there is no role {role}"
    elif said.get("PermissionsBoundary"):
        yield f"{role} is bounded by {said['PermissionsBoundary'].get('PermissionsBoundaryArn')}"


def trust(case: Case, role: str, logical: str) -> Iterator[str]:
    """Rule: whoever may take the role is whom the settings name."""
    wanted = case.expected.says(logical, "AssumeRolePolicyDocument")
    yield from differences(_role(case, role)["AssumeRolePolicyDocument"], wanted)


def _role(case: Case, role: str) -> Mapping[str, Any]:
    said: Mapping[str, Any] = case.found(f"role {role}")
    return said


def inline(case: Case, role: str, logical: str) -> Iterator[str]:
    """Rule: the role's own policies say what the settings make, and no more."""
    found = case.found(f"inline policies of {role}")
    wanted = {policy["PolicyName"]: policy["PolicyDocument"] for policy in case.expected.says(logical, "Policies")}
    for name in sorted(set(found) - set(wanted)):
        yield f"it has the policy {name} besides"
    for name, document in wanted.items():
        if name not in found:
            yield f"it lacks the policy {name}"
        else:
            yield from (f"{name} {difference}" for difference in differences(found[name], document))


def attached(case: Case, role: str, logical: str) -> Iterator[str]:
    """Rule: the policies that hang on the role are those that the settings name."""
    found = {policy["PolicyArn"] for policy in case.found(f"attached policies of {role}")}
    wanted = set(case.expected.says(logical, "ManagedPolicyArns") or ())
    yield from (f"{arn} is attached besides" for arn in sorted(found - wanted))
    yield from (f"{arn} is not attached" for arn in sorted(wanted - found))


def hours(case: Case, role: str) -> Iterator[str]:
    """Rule: nobody stays in the role for long."""
    if (longest := _role(case, role).get("MaxSessionDuration", HOUR_S)) > HOUR_S:
        yield f"a session of {role} may last {longest} s"


# --- what the host may do, judged by effect --------------------------------------------------------------------------


def _can(case: Case, *asked: Request) -> Iterator[str]:
    """What of it the role may not do."""
    yield from (f"{one.action} on {one.resource} is not allowed" for one in asked if not _may(case, one))


def _cannot(case: Case, *asked: Request) -> Iterator[str]:
    """What of it the role may do."""
    yield from (f"{one.action} on {one.resource} is allowed" for one in asked if _may(case, one))


def _may(case: Case, asked: Request) -> bool:
    role = case.settings.stack.role
    documents = list(case.found(f"inline policies of {role}").values())
    hanging = [policy["PolicyArn"] for policy in case.found(f"attached policies of {role}")]
    documents += [case.found(f"policy {arn}") for arn in hanging]
    try:
        return allowed(documents, asked)
    except PolicyError as error:
        raise CannotTell(f"a policy of {role} is not understood: {error}") from error


def _bucket(case: Case, path: str = "") -> str:
    return f"arn:{case.account.partition}:s3:::{case.settings.s3.bucket}{path}"


def _listing(case: Case, **context: str) -> Request:
    return Request("s3:ListBucket", _bucket(case), {name.replace("_", ":"): value for name, value in context.items()})


def _reads(case: Case) -> Iterator[str]:
    key = f"/{case.settings.s3.prefix}metadata.json"
    yield from _can(
        case,
        Request("s3:GetObject", _bucket(case, key)),
        Request("s3:GetObjectVersion", _bucket(case, key)),
        _listing(case, s3_prefix=case.settings.s3.prefix),
    )


def _reads_no_more(case: Case) -> Iterator[str]:
    prefix = case.settings.s3.prefix
    other = [folder for folder in ELSEWHERE if not folder.startswith(prefix) and not prefix.startswith(folder)][:1]
    elsewhere = (f"arn:{case.account.partition}:s3:::{OTHERS}/x", *(_bucket(case, f"/{one}x") for one in other))
    yield from _cannot(
        case,
        *(Request(action, where) for action in ("s3:GetObject", "s3:GetObjectVersion") for where in elsewhere),
        _listing(case),
        *(_listing(case, s3_prefix=one) for one in other),
        Request("s3:ListAllMyBuckets"),
        Request("secretsmanager:GetSecretValue", _arn(case, "secretsmanager", "secret:x")),
        Request("dynamodb:GetItem", _arn(case, "dynamodb", "table/x")),
    )


def _arn(case: Case, service: str, what: str) -> str:
    return f"arn:{case.account.partition}:{service}:{case.account.region}:{case.account.account}:{what}"


def _writes_nothing(case: Case) -> Iterator[str]:
    key = f"/{case.settings.s3.prefix}metadata.json"
    on_objects = ("PutObject", "DeleteObject", "DeleteObjectVersion", "PutObjectAcl", "PutObjectTagging")
    on_bucket = ("PutBucketPolicy", "DeleteBucket", "PutBucketVersioning", "PutLifecycleConfiguration")
    yield from _cannot(
        case,
        *(Request(f"s3:{action}", _bucket(case, key)) for action in on_objects),
        *(Request(f"s3:{action}", _bucket(case)) for action in on_bucket),
    )


def _climbs_nowhere(case: Case) -> Iterator[str]:
    own = f"arn:{case.account.partition}:iam::{case.account.account}:role/{case.settings.stack.role}"
    actions = (
        "PassRole",
        "PutRolePolicy",
        "AttachRolePolicy",
        "CreateAccessKey",
        "CreateUser",
        "UpdateAssumeRolePolicy",
    )
    yield from _cannot(
        case,
        *(Request(f"iam:{action}", own) for action in actions),
        Request("sts:AssumeRole", own.replace(case.settings.stack.role, "another")),
        Request("ec2:RunInstances", _arn(case, "ec2", "instance/*")),
        Request("ec2:AuthorizeSecurityGroupIngress", _arn(case, "ec2", "security-group/x")),
        Request("ssm:SendCommand", _arn(case, "ec2", "instance/x")),
    )


def _metrics(case: Case) -> Iterator[str]:
    own = {"cloudwatch:namespace": monitoring.NAMESPACE}
    yield from _can(case, *(Request(action, "*", own) for action in monitoring.METRIC_ACTIONS))
    other = {"cloudwatch:namespace": "Other"}
    yield from _cannot(case, *(Request(action, "*", other) for action in monitoring.METRIC_ACTIONS))


def _logs(case: Case) -> Iterator[str]:
    streams = [_arn(case, "logs", f"log-group:{group}:log-stream:x") for group in monitoring.LOG_GROUPS]
    yield from _can(case, *(Request("logs:PutLogEvents", stream) for stream in streams))
    yield from _cannot(case, Request("logs:PutLogEvents", _arn(case, "logs", "log-group:other:log-stream:x")))
    yield from _cannot(case, *(Request("logs:DeleteLogGroup", stream) for stream in streams))


def _no_parameters(case: Case) -> Iterator[str]:
    actions = ("GetParameter", "GetParameters", "GetParametersByPath")
    yield from _cannot(case, *(Request(f"ssm:{action}", _arn(case, "ssm", "parameter/x")) for action in actions))


def _session_manager(case: Case) -> Iterator[str]:
    if case.settings.stack.ssm:
        needed = ("ssm:UpdateInstanceInformation", "ssmmessages:OpenControlChannel")
        yield from _can(case, *(Request(action) for action in needed))


def _only_ec2(case: Case) -> Iterator[str]:
    document = _role(case, case.settings.stack.role)["AssumeRolePolicyDocument"]
    account = f"arn:{case.account.partition}:iam::{case.account.account}:root"
    for who, wanted in (
        (Principal("Service", "ec2.amazonaws.com"), True),
        (Principal("Service", "lambda.amazonaws.com"), False),
        (Principal("AWS", account), False),
        (Principal("AWS", account.replace(case.account.account, "2" * 12)), False),
    ):
        try:
            may = allowed([document], Request("sts:AssumeRole", "*", {}, who))
        except PolicyError as error:
            raise CannotTell(f"the trust is not understood: {error}") from error
        if may is not wanted:
            yield f"{who.name} {'may' if may else 'may not'} take the role"


def _profile(case: Case) -> Iterator[str]:
    profile = case.of("profile")
    role = case.settings.stack.role
    if profile is None:
        yield f"there is no instance profile {role}"
    elif [one["RoleName"] for one in profile["Roles"]] != [role]:
        yield f"it holds {', '.join(one['RoleName'] for one in profile['Roles']) or 'no role'}"
    for one in case.of("profiles of the role") or ():
        if one["InstanceProfileName"] != role:
            yield f"the profile {one['InstanceProfileName']} holds the role too"


def _ours(judge: Any, *more: str) -> Any:
    return lambda case: judge(case, case.settings.stack.role, *more)


RULES = (
    Rule(
        "role.there",
        "the host's role is there, and no boundary weakens it",
        "`fab drift`, then `fab provision`",
        _ours(there),
    ),
    Rule(
        "role.trust",
        "only EC2 may take it, as the settings make it",
        "aws iam update-assume-role-policy --role-name {role}, with what `fab render` writes for Role",
        _ours(trust, "Role"),
    ),
    Rule(
        "role.only-for-instances",
        "instances may take it, and nobody else",
        "aws iam update-assume-role-policy --role-name {role}, with what `fab render` writes for Role",
        _only_ec2,
    ),
    Rule("role.policies", "its own policies say what the settings make, and no more", INLINE, _ours(inline, "Role")),
    Rule(
        "role.attached",
        f"{names.SSM_POLICY} hangs on it where [stack] ssm is on, and nothing else",
        "aws iam attach-role-policy or detach-role-policy --role-name {role} --policy-arn ARN",
        _ours(attached, "Role"),
    ),
    Rule("role.reads-the-snapshot", "it reads and lists the published snapshot", INLINE, _reads),
    Rule("role.reads-no-more", "it reads and lists nothing else", INLINE, _reads_no_more),
    Rule("role.writes-nothing", "it changes nothing in the bucket", INLINE, _writes_nothing),
    Rule("role.climbs-nowhere", "it gives itself no rights and takes no other role", INLINE, _climbs_nowhere),
    Rule("role.metrics", "it writes metrics of its own namespace only", INLINE, _metrics),
    Rule("role.logs", "it writes to its own log groups only", INLINE, _logs),
    Rule("role.no-parameters", "it reads no parameter of the account", INLINE, _no_parameters),
    Rule(
        "role.session-manager", "Session Manager can reach the host where [stack] ssm is on", INLINE, _session_manager
    ),
    Rule(
        "role.profile",
        "the instance profile holds this role, and no other profile does",
        "aws iam add-role-to-instance-profile --instance-profile-name {role} --role-name {role}",
        _profile,
    ),
)
