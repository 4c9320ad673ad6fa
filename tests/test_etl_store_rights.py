"""What publishing and reading need to be allowed on S3: these rights, each of them, and no other.

moto enforces IAM here, over HTTP. Where it differs from AWS it is brought to what AWS documents:

- HEAD of a version needs s3:GetObjectVersion on AWS; moto asks for s3:GetObject. Its table of actions is mended.
- AWS answers 403 for an absent object to who may not list the bucket, that nobody can find out names by asking; moto
  answers 404. The answer is changed on its way to such a person's client. Whether somebody may list is asked of AWS
  with s3:prefix being the key, so a condition on the prefix does not change that (ceph/ceph#68577 says so too).
- moto passes over the condition on s3:prefix. A test compares with it what is really listed.

The two policies stand in docs/publishing.md as well.
"""

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http import HTTPStatus

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core import enable_iam_authentication
from moto.s3.responses import ACTION_MAP

from etl.errors import NothingPublished, StoreDenied
from etl.store import (
    Base,
    DirectoryStore,
    Run,
    S3Store,
    lost_files,
    publications,
    publish,
    restore,
    whole,
)

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
PREFIX = "processed/"
PUBLISHER = ("s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucketVersions", "s3:ListBucket")
READER = ("s3:GetObject", "s3:GetObjectVersion")
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def policy(bucket, rights):
    """The policy that allows exactly these rights below the prefix."""
    listing = [right for right in rights if right.startswith("s3:List")]
    objects = {
        "Effect": "Allow",
        "Action": [right for right in rights if right not in listing],
        "Resource": f"arn:aws:s3:::{bucket}/{PREFIX}*",
    }
    names = {
        "Effect": "Allow",
        "Action": listing,
        "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {"StringLike": {"s3:prefix": f"{PREFIX}*"}},
    }
    statements = [statement for statement in (objects, names) if statement["Action"]]
    return {"Version": "2012-10-17", "Statement": statements}


def without(rights, taken):
    return [right for right in rights if right != taken]


@pytest.fixture
def bucket(new_bucket, monkeypatch):
    """A versioned bucket as its owner sees it, before anything is enforced."""
    monkeypatch.setitem(ACTION_MAP["KEY"]["HEAD"], "versionId", "GetObjectVersion")
    return new_bucket()


@pytest.fixture
def person(s3_endpoint, bucket):
    """A function: rights -> the store as somebody sees it who has these and no other."""
    iam = boto3.client(
        "iam",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    count = iter(range(100))

    def make(rights):
        name = f"{bucket.bucket}-{next(count)}"
        iam.create_user(UserName=name)
        if rights:
            document = json.dumps(policy(bucket.bucket, rights))
            iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        client = boto3.client(
            "s3",
            endpoint_url=s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=Config(retries={"total_max_attempts": 1}),
        )
        if "s3:ListBucket" not in rights:
            client.meta.events.register("before-parse.s3", hide_what_is_absent)
        return S3Store(client, bucket.bucket, PREFIX)

    return make


def hide_what_is_absent(response_dict, **_):
    """What AWS does and moto does not."""
    if response_dict["status_code"] == HTTPStatus.NOT_FOUND:
        response_dict.update(status_code=int(HTTPStatus.FORBIDDEN), body=DENIED)


@pytest.fixture
def local(sample_snapshot_dir):
    return DirectoryStore(sample_snapshot_dir)


@pytest.fixture
def other(shop, snapshot_of, tmp_path):
    """A later snapshot of another shop: its store."""
    out = tmp_path / "other"
    snapshot_of([shop(("1", "A", "THING", 1, "2026-03-02", "10", "7", "UK"))], out, now=NOW.replace(hour=7))
    return DirectoryStore(out)


def published(store, snapshot):
    return publish(store, Run(snapshot.current().manifest, snapshot), store.published(), now=NOW.replace(hour=8))


def everything_a_publisher_does(store, local, other):
    """From an empty prefix to going back to the first run; gives what was found on the way."""
    first = published(store, local).manifest
    second = published(store, other).manifest
    found = publications(store, 10)
    lost = lost_files(store, first)
    was_restored = restore(store, first, store.published())
    held = store.held(first.artifacts["rfm"].csv)
    return first, second, found, lost, was_restored, held


def everything_a_reader_does(store):
    current = store.current()
    unchanged = store.current(current.etag)
    found = whole(store, files_of)
    file = files_of(current.manifest)[0]
    return current, unchanged, found, store.held(file), store.held(file, newest=True)


def files_of(manifest):
    return manifest.files


def test_rights_are_enforced_here_at_all(bucket, person):
    nobody = person([])
    with enable_iam_authentication():
        for send in (
            lambda: nobody.client.get_object(Bucket=bucket.bucket, Key=f"{PREFIX}metadata.json"),
            lambda: nobody.client.put_object(Bucket=bucket.bucket, Key=f"{PREFIX}metadata.json", Body=b""),
            lambda: nobody.client.list_object_versions(Bucket=bucket.bucket, Prefix=PREFIX),
            lambda: bucket.client.list_objects_v2(Bucket=bucket.bucket),  # whom IAM does not know
        ):
            with pytest.raises(ClientError) as caught:
                send()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.FORBIDDEN
    assert bucket.client.list_objects_v2(Bucket=bucket.bucket)["KeyCount"] == 0


def test_a_publisher_with_these_rights_publishes_twice_looks_back_and_goes_back(person, local, other):
    store = person(PUBLISHER)
    with enable_iam_authentication():
        first, second, found, lost, was_restored, held = everything_a_publisher_does(store, local, other)
        assert [each.manifest for each in found] == [second, first]
        assert lost == []
        assert was_restored
        assert held.sha256 == first.artifacts["rfm"].csv.sha256
        assert store.current().manifest == first


@pytest.mark.parametrize(
    ("taken", "seen"),
    [
        ("s3:PutObject", "uploading s3://.*/processed/"),
        ("s3:GetObject", r"reading s3://.*/processed/metadata\.json"),
        ("s3:GetObjectVersion", r"reading version .* of s3://.*/processed/metadata\.json"),
        ("s3:ListBucketVersions", r"listing the versions of s3://.*/processed/metadata\.json"),
        ("s3:ListBucket", r"reading s3://.*/processed/metadata\.json"),
    ],
)
def test_without_any_one_of_them_a_publisher_is_told_what_is_denied(person, local, other, taken, seen):
    store = person(without(PUBLISHER, taken))
    with enable_iam_authentication(), pytest.raises(StoreDenied, match=f"{seen}.*: S3 answered 403") as caught:
        everything_a_publisher_does(store, local, other)
    assert "AWS_PROFILE" in caught.value.to_do


def test_of_lost_files_nobody_is_told_who_may_not_read_versions(bucket, person, local):
    manifest = published(bucket, local).manifest
    store = person(without(PUBLISHER, "s3:GetObjectVersion"))
    with enable_iam_authentication(), pytest.raises(StoreDenied, match="looking at s3://"):
        lost_files(store, manifest)


def test_what_is_listed_lies_below_the_prefix_of_the_policy(bucket, local):
    published(bucket, local)
    asked = []

    def listing(params, **_):
        asked.append(params["query_string"]["prefix"])

    bucket.client.meta.events.register("before-call.s3.ListObjectVersions", listing)
    publications(bucket, 10)
    (pattern,) = policy(bucket.bucket, PUBLISHER)["Statement"][1]["Condition"]["StringLike"].values()
    assert asked
    assert all(fnmatchcase(prefix, pattern) for prefix in asked)


@pytest.mark.parametrize("elsewhere", ["", "other/", "processed-too/"])
def test_a_publisher_cannot_write_outside_the_prefix(bucket, person, local, elsewhere):
    store = S3Store(person(PUBLISHER).client, bucket.bucket, elsewhere)
    with enable_iam_authentication():
        with pytest.raises(StoreDenied, match="uploading"):
            publish(store, Run(local.current().manifest, local), Base(), now=NOW)
        with pytest.raises(StoreDenied, match=r"reading s3://.*metadata\.json"):
            store.published()
    assert bucket.client.list_objects_v2(Bucket=bucket.bucket)["KeyCount"] == 0


def test_a_publisher_cannot_delete_what_was_published(bucket, person, local):
    file = published(bucket, local).manifest.artifacts["rfm"].csv
    client = person(PUBLISHER).client
    with enable_iam_authentication():
        for version in ({}, {"VersionId": file.version_id}):
            with pytest.raises(ClientError, match="AccessDenied"):
                client.delete_object(Bucket=bucket.bucket, Key=file.key, **version)


def test_a_reader_with_these_rights_reads_all_of_a_snapshot(bucket, person, local):
    manifest = published(bucket, local).manifest
    store = person(READER)
    with enable_iam_authentication():
        current, unchanged, found, held, newest = everything_a_reader_does(store)
    assert current.manifest == manifest
    assert unchanged is None
    assert set(found.files) == {file.sha256 for file in files_of(manifest)}
    assert held == newest
    assert held.sha256 == files_of(manifest)[0].sha256


@pytest.mark.parametrize(
    ("taken", "seen"),
    [
        ("s3:GetObject", r"reading s3://.*/processed/metadata\.json"),
        ("s3:GetObjectVersion", r"reading s3://.*/processed/daily_kpis\.parquet"),
    ],
)
def test_without_any_one_of_them_a_reader_is_told_what_is_denied(bucket, person, local, taken, seen):
    published(bucket, local)
    store = person(without(READER, taken))
    with enable_iam_authentication(), pytest.raises(StoreDenied, match=f"{seen}: S3 answered 403") as caught:
        everything_a_reader_does(store)
    assert "bucket's policy" in caught.value.to_do


def test_looking_at_a_version_and_at_the_newest_are_two_rights(bucket, person, local):
    file = published(bucket, local).manifest.artifacts["rfm"].csv
    for taken, newest in (("s3:GetObject", True), ("s3:GetObjectVersion", False)):
        store = person(without(READER, taken))
        with enable_iam_authentication():
            assert store.held(file, newest=not newest)
            with pytest.raises(StoreDenied, match="looking at"):
                store.held(file, newest=newest)


def test_a_reader_who_finds_nothing_is_told_that_perhaps_nothing_is_published(person):
    store = person(READER)
    with enable_iam_authentication(), pytest.raises(StoreDenied) as caught:
        store.current()
    assert "nothing is published yet" in caught.value.to_do
    assert "fab etl-sync" in caught.value.to_do


def test_who_may_list_the_bucket_is_told_that_nothing_is_published(person):
    store = person(PUBLISHER)
    with enable_iam_authentication(), pytest.raises(NothingPublished):
        store.current()


def test_a_reader_can_neither_write_nor_list(bucket, person, local, other):
    manifest = published(bucket, local).manifest
    store = person(READER)
    with enable_iam_authentication():
        with pytest.raises(StoreDenied, match="uploading"):
            published(store, other)
        with pytest.raises(StoreDenied, match="uploading"):
            restore(store, manifest, store.published())
        with pytest.raises(StoreDenied, match="listing"):
            publications(store, 10)
    assert bucket.current().manifest == manifest
