"""Sales files on S3: which objects an address stands for, and what is said where there is none."""

import pytest

from etl.cli import main
from etl.errors import ExitCode, SourceError, StoreError
from etl.store import Patience, fetched
from tests.s3_faults import FAULTS
from tests.s3_proxy import Proxy, honest, make_bucket, moto_s3, s3_client_of

GOOD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,A1,THING,1,{},10,7,UK\n"
OBJECTS = {
    "2026/a.csv": "1",
    "2026/b.csv.gz": "2",
    "2026/notes.txt": "3",
    "2026/old/c.csv": "4",
    "2026/sales-1.csv": "5",
    "2026/sales-2.csv": "6",
    "2026/Sales [x].csv": "7",
    "a#b?c.csv": "8",
}


@pytest.fixture
def bucket(new_bucket):
    """A bucket with files of sales and other things: client, name."""
    store = new_bucket()
    for key, text in OBJECTS.items():
        store.client.put_object(Bucket=store.bucket, Key=key, Body=text)
    return store.client, store.bucket


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ("2026/a.csv", ["2026/a.csv"]),
        ("2026/notes.txt", ["2026/notes.txt"]),
        ("2026/", ["2026/Sales [x].csv", "2026/a.csv", "2026/b.csv.gz", "2026/sales-1.csv", "2026/sales-2.csv"]),
        ("2026/sales-*.csv", ["2026/sales-1.csv", "2026/sales-2.csv"]),
        ("2026/*.csv", ["2026/Sales [x].csv", "2026/a.csv", "2026/sales-1.csv", "2026/sales-2.csv"]),
        ("*/sales-[2-9].csv", ["2026/sales-2.csv"]),
        ("a#b?c.csv", ["a#b?c.csv"]),
    ],
)
def test_an_address_stands_for_an_object_a_prefix_or_a_pattern(bucket, wanted, keys, tmp_path):
    client, name = bucket
    found = fetched(client, f"s3://{name}/{wanted}", tmp_path)
    assert [path.name for path in found] == [key.rpartition("/")[2] for key in keys]
    assert [path.read_text() for path in found] == [OBJECTS[key] for key in keys]


def test_more_than_a_page_of_a_listing_is_read_to_its_end(new_bucket, tmp_path):
    store = new_bucket()
    for number in range(1003):
        store.client.put_object(Bucket=store.bucket, Key=f"x/{number:04}.txt", Body="")
    store.client.put_object(Bucket=store.bucket, Key="x/last.csv", Body="here")
    (found,) = fetched(store.client, f"s3://{store.bucket}/x/", tmp_path)
    assert found.read_text() == "here"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("{}/2026/none.csv", "is not there"),
        ("{}/2027/", "stands for no file of sales among 0 objects"),
        ("{}/2026/old/*.xlsx", "stands for no file of sales among 1 objects"),
        ("{}", "names no object"),
        ("{}/", "names no object"),
        ("/x.csv", "names no object"),
        ("nobody-has-this/x.csv", "names a bucket that is not there"),
        ("nobody-has-this/x/", "names a bucket that is not there"),
    ],
)
def test_an_address_of_nothing_is_said_with_what_to_do(bucket, wanted, said, tmp_path):
    client, name = bucket
    with pytest.raises(SourceError, match=said) as caught:
        fetched(client, f"s3://{wanted.format(name)}", tmp_path)
    assert "--source" in caught.value.to_do


def test_a_file_on_s3_is_computed_as_one_on_disk_and_leaves_nothing_behind(
    bucket, s3_endpoint, tmp_path, monkeypatch, capfd
):
    client, name = bucket
    for number in (1, 2):
        client.put_object(Bucket=name, Key=f"in/{number}.csv", Body=GOOD.format(f"2026-03-0{number}"))
    environ = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for variable, value in (environ | {"TMPDIR": str(tmp_path / "tmp")}).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    assert main(["--source", f"s3://{name}/in/", "--out", str(tmp_path / "out")]) == ExitCode.GOOD
    assert '"name": "2.csv"' in (tmp_path / "out" / "metadata.json").read_text()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert main(["--source", f"s3://{name}/none.csv", "--out", str(tmp_path / "out")]) == ExitCode.COULD_NOT
    told = capfd.readouterr().err
    assert f"error: s3://{name}/none.csv is not there" in told
    assert list((tmp_path / "tmp").iterdir()) == []


PATIENCE = Patience(attempts=3, deadline_s=3, sleep=lambda _seconds: None)


@pytest.fixture(scope="module")
def spoilt():
    """A way to a bucket with one file of sales, to be spoilt: proxy, client, bytes."""
    data = bytes(range(256)) * 600
    proxy = Proxy(moto_s3())
    client = s3_client_of(proxy.address, read_timeout_s=0.3)
    make_bucket(client, "sales-files")
    client.put_object(Bucket="sales-files", Key="a.csv", Body=data)
    yield proxy, client, data
    proxy.settle()
    proxy.stop()


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_s3_and_the_network_do_a_file_is_whole_or_there_is_an_error(spoilt, fault, times, tmp_path):
    proxy, client, data = spoilt
    left = [times]

    def spoil(_asked):
        left[0] -= 1
        return FAULTS[fault] if left[0] >= 0 else honest

    proxy.begin(spoil)
    try:
        (found,) = fetched(client, "s3://sales-files/a.csv", tmp_path, PATIENCE)
    except StoreError:
        assert times > 1 or fault in {"clock", "dripping"}  # there it is of no use to ask again
    else:
        assert found.read_bytes() == data
