"""The bucket: nobody's but ours, encrypted, by TLS only, and nothing in it is lost. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ops.posture.account import CannotTell
from ops.posture.case import Case
from ops.posture.documents import differences
from ops.posture.rules import Rule, Told
from ops.stack.policy import Decision, PolicyError, Principal, Request, decide, read

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ABORTED_DAYS = 7
EVENT_BRIDGE = "EventBridgeConfiguration"  # it is on where it is told at all: it holds nothing
FIRST_REGION = "us-east-1"  # whose buckets have no location
OLD_NAMES = {"EU": "eu-west-1"}
BLOCK = (
    "aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration "
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
)
LIFECYCLE = "aws s3api put-bucket-lifecycle-configuration --bucket {bucket}, with what `fab render` writes for Bucket"
POLICY = "aws s3api put-bucket-policy --bucket {bucket}, with what `fab render` writes for BucketPolicy"


def _there(case: Case) -> Iterator[str]:
    try:
        said = case.of("bucket location")
    except CannotTell:
        if case.settings.s3.bucket in case.of("own buckets"):
            raise
        yield f"{case.settings.s3.bucket} is no bucket of this account"
        return
    if said is None:
        yield f"there is no bucket {case.settings.s3.bucket}"
    elif (region := _region(said)) != case.account.region:
        yield f"it is in {region}"


def _region(said: Mapping[str, Any]) -> str:
    named = str(said.get("LocationConstraint") or FIRST_REGION)
    return OLD_NAMES.get(named, named)


def _bucket(case: Case, question: str) -> Mapping[str, Any]:
    """An answer about the bucket; empty where AWS says that it has no such thing."""
    if case.of("bucket location") is None:
        raise CannotTell(f"there is no bucket {case.settings.s3.bucket}")
    return case.of(question) or {}


def _flag(name: str) -> Rule:
    def judge(case: Case) -> Told:
        if not _bucket(case, "bucket public access").get("PublicAccessBlockConfiguration", {}).get(name):
            yield f"{name} is off"

    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).strip("-")
    return Rule(f"bucket.{words}", f"{name} is on", BLOCK, judge)


def _owner(case: Case) -> Iterator[str]:
    rules = _bucket(case, "bucket ownership").get("OwnershipControls", {}).get("Rules", [])
    if [rule["ObjectOwnership"] for rule in rules] != ["BucketOwnerEnforced"]:
        yield f"ownership is {', '.join(rule['ObjectOwnership'] for rule in rules) or 'not set'}"


def _grants(case: Case) -> Iterator[str]:
    said = _bucket(case, "bucket acl")
    owner = said.get("Owner", {}).get("ID")
    for grant in said.get("Grants", ()):
        grantee = grant["Grantee"]
        if grantee.get("ID") != owner:
            yield f"{grant['Permission']} for {grantee.get('URI') or grantee.get('ID')}"


def _encryption(case: Case) -> Iterator[str]:
    rules = _bucket(case, "bucket encryption").get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    used = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    if [one.get("SSEAlgorithm") for one in used] != [case.settings.s3.encryption]:
        yield f"encrypted by {', '.join(str(one.get('SSEAlgorithm')) for one in used) or 'nothing'}"
    for key in (one["KMSMasterKeyID"] for one in used if one.get("KMSMasterKeyID")):
        yield f"by the key {key}, which [s3] does not name: without it nothing can be read"
    if case.settings.s3.encryption == "aws:kms" and not any(rule.get("BucketKeyEnabled") for rule in rules):
        yield "each object asks KMS for its key: the bucket has none"


def _versions(case: Case) -> Iterator[str]:
    said = _bucket(case, "bucket versioning")
    if said.get("Status") != "Enabled":
        yield f"versioning is {said.get('Status', 'off')}"
    if said.get("MFADelete") == "Enabled":
        yield "MFADelete is on: older versions cannot be forgotten"


def _lifecycle(case: Case) -> list[Mapping[str, Any]]:
    return [rule for rule in _bucket(case, "bucket lifecycle").get("Rules", ()) if rule["Status"] == "Enabled"]


def _everywhere(rule: Mapping[str, Any]) -> bool:
    """It speaks of all objects."""
    only = rule.get("Filter") or {}
    return not rule.get("Prefix") and (not only or only == {"Prefix": ""})


def _forgets_versions(case: Case) -> Iterator[str]:
    wanted = case.settings.stack.noncurrent_days
    rules = [one for one in _lifecycle(case) if "NoncurrentVersionExpiration" in one]
    days = [one["NoncurrentVersionExpiration"].get("NoncurrentDays") for one in rules if _everywhere(one)]
    if wanted not in days:
        yield f"no rule forgets older versions of everything after {wanted} days"


def _keeps_versions(case: Case) -> Iterator[str]:
    wanted = case.settings.stack.noncurrent_days
    for rule in _lifecycle(case):
        days = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", wanted)
        if days < wanted:
            yield f"{rule.get('ID', 'a rule')} forgets older versions after {days} days already"


def _aborted(case: Case) -> Iterator[str]:
    days = [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for rule in _lifecycle(case)
        if "AbortIncompleteMultipartUpload" in rule and _everywhere(rule)
    ]
    if not any(day <= ABORTED_DAYS for day in days):
        yield f"no rule clears aborted uploads within {ABORTED_DAYS} days"


def _keeps(case: Case) -> Iterator[str]:
    for rule in _lifecycle(case):
        for action in ("Expiration", "Transitions", "NoncurrentVersionTransitions"):
            if rule.get(action) and list(rule[action]) != ["ExpiredObjectDeleteMarker"]:
                yield f"{rule.get('ID', 'a rule')} has {action}"


def _policy(case: Case) -> str:
    return str(_bucket(case, "bucket policy").get("Policy") or '{"Statement": []}')


def _says(case: Case) -> Iterator[str]:
    yield from differences(_policy(case), case.expected.says("BucketPolicy", "PolicyDocument"))


def _tls(case: Case) -> Iterator[str]:
    root = f"arn:{case.account.partition}:iam::{case.account.account}:root"
    for action, path in (("s3:GetObject", "/x"), ("s3:PutObject", "/x"), ("s3:ListBucket", "")):
        plain = {"aws:SecureTransport": "false"}
        asked = Request(action, _arn(case) + path, plain, Principal("AWS", root))
        if _decided(case, asked) is not Decision.EXPLICIT_DENY:
            yield f"{action} is not refused without TLS"


def _strangers(case: Case) -> Iterator[str]:
    other = "2" * 12 if case.account.account != "2" * 12 else "3" * 12
    for who, name in (
        (None, "anybody"),
        (Principal("AWS", f"arn:{case.account.partition}:iam::{other}:root"), "another account"),
    ):
        for action, path in (("s3:GetObject", "/x"), ("s3:PutObject", "/x"), ("s3:ListBucket", "")):
            asked = Request(action, _arn(case) + path, {"aws:SecureTransport": "true"}, who)
            if _decided(case, asked) is Decision.ALLOW:
                yield f"{name} may {action}"


def _not_locked_out(case: Case) -> Iterator[str]:
    """What the policy refuses even to the account's own."""
    own = f"arn:{case.account.partition}:iam::{case.account.account}:role/{case.settings.stack.role}"
    key = f"/{case.settings.s3.prefix}metadata.json"
    for action, path in (("s3:GetObject", key), ("s3:GetObjectVersion", key), ("s3:ListBucket", "")):
        context = {"aws:SecureTransport": "true", "s3:prefix": case.settings.s3.prefix}
        if _decided(case, Request(action, _arn(case) + path, context, Principal("AWS", own))) is Decision.EXPLICIT_DENY:
            yield f"the host's role is refused {action}"


def _arn(case: Case) -> str:
    return f"arn:{case.account.partition}:s3:::{case.settings.s3.bucket}"


def _decided(case: Case, asked: Request) -> Decision:
    try:
        return decide([read(_policy(case))], asked)
    except PolicyError as error:
        raise CannotTell(f"the bucket's policy is not understood: {error}") from error


def _no_lock(case: Case) -> Iterator[str]:
    held = _bucket(case, "bucket lock").get("ObjectLockConfiguration", {}).get("Rule")
    if held:
        yield f"what is put in cannot be deleted: {held.get('DefaultRetention')}"


def _without(question: str, field: str, what: str) -> Callable[[Case], Told]:
    def judge(case: Case) -> Told:
        if _bucket(case, question).get(field):
            yield what

    return judge


RULES = (
    Rule(
        "bucket.there", "the bucket is there, ours, and in the stack's region", "`fab provision --plan` tells", _there
    ),
    *(_flag(name) for name in FLAGS),
    Rule(
        "bucket.owner-enforced",
        "every object is the bucket owner's, and ACLs mean nothing",
        "aws s3api put-bucket-ownership-controls --bucket {bucket} "
        "--ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'",
        _owner,
    ),
    Rule(
        "bucket.no-grants",
        "no ACL grants anything",
        "aws s3api put-bucket-acl --bucket {bucket} --acl private",
        _grants,
    ),
    Rule(
        "bucket.encrypted",
        "objects are encrypted as [s3] encryption says",
        "aws s3api put-bucket-encryption --bucket {bucket}, with what `fab render` writes for Bucket",
        _encryption,
    ),
    Rule(
        "bucket.versioned",
        "older versions are kept",
        "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled",
        _versions,
    ),
    Rule(
        "bucket.forgets-older-versions", "older versions go after [stack] noncurrent_days", LIFECYCLE, _forgets_versions
    ),
    Rule(
        "bucket.no-lock",
        "nothing locks them longer",
        "aws s3api put-object-lock-configuration --bucket {bucket} "
        "--object-lock-configuration ObjectLockEnabled=Enabled",
        _no_lock,
    ),
    Rule("bucket.keeps-older-versions", "they do not go earlier", LIFECYCLE, _keeps_versions),
    Rule("bucket.forgets-aborted-uploads", "what is left of aborted uploads goes within a week", LIFECYCLE, _aborted),
    Rule("bucket.keeps-what-is-current", "nothing that is current expires or moves", LIFECYCLE, _keeps),
    Rule("bucket.tls-only", "nobody is served without TLS", POLICY, _tls),
    Rule("bucket.no-strangers", "its policy lets no stranger in", POLICY, _strangers),
    Rule("bucket.readable", "its policy does not shut out the host", POLICY, _not_locked_out),
    Rule("bucket.policy", "its policy says what the settings make, and no more", POLICY, _says),
    Rule(
        "bucket.no-website",
        "it is no website",
        "aws s3api delete-bucket-website --bucket {bucket}",
        _without("bucket website", "IndexDocument", "it is served as a website"),
    ),
    Rule(
        "bucket.no-cors",
        "pages of others may not read it",
        "aws s3api delete-bucket-cors --bucket {bucket}",
        _without("bucket cors", "CORSRules", "it has CORS rules"),
    ),
    Rule(
        "bucket.no-copies",
        "it is copied nowhere",
        "aws s3api delete-bucket-replication --bucket {bucket}",
        _without("bucket replication", "ReplicationConfiguration", "it is replicated"),
    ),
    Rule(
        "bucket.no-events",
        "it tells nobody of what is put in",
        "aws s3api put-bucket-notification-configuration --bucket {bucket} --notification-configuration '{{}}'",
        lambda case: (
            f"it has {field}"
            for field, value in _bucket(case, "bucket events").items()
            if (value and field.endswith("Configurations")) or field == EVENT_BRIDGE
        ),
    ),
)
