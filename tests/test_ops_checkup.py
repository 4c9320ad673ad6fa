"""`fab freshness`: clocks, files and page as one verdict; its exit status, text, JSON and badge."""

import http.server
import json
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from etl.errors import KpiOpsError, ServeError, SettingsError
from etl.store import DirectoryStore, Patience
from ops.checkup import checkup
from ops.render import render
from ops.settings import FreshnessSettings
from ops.shown import Page, Shown, ask, finding, page_at, readyz
from ops.uptime.data import freshness_line, judge
from ops.verdict import Finding, Verdict, as_badge, as_json, as_text
from ops.whole import write_whole

ROOT = Path(__file__).resolve().parent.parent
FAB = str(Path(sys.executable).with_name("fab"))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # six hours after the sample was made
AT_ONCE = Patience(attempts=1, deadline_s=20, sleep=lambda _s: None)


@pytest.fixture
def local(sample_snapshot_dir):
    return DirectoryStore(sample_snapshot_dir)


def look(store, now=NOW, page=None, **limits):
    return checkup(lambda: store, FreshnessSettings(**limits), now=now, page=page, patience=AT_ONCE)


def verdict_of(*findings):
    return Verdict("s3://bucket/", "run", NOW, 0.5, findings)


def found(status, word="torn", check="files", **more):
    return Finding(check, status, word, "seen", "expected", "to do", **more)


# --- the verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "status", "exit_code"),
    [
        ([], "pass", 0),
        (["pass", "pass"], "pass", 0),
        (["pass", "warn"], "warn", 0),
        (["warn", "unknown"], "unknown", 3),
        (["unknown", "error", "warn"], "error", 1),
    ],
    ids=str,
)
def test_an_error_that_was_seen_outweighs_what_cannot_be_told_and_that_what_is_late(statuses, status, exit_code):
    verdict = verdict_of(*(found(status, "late" if status == "warn" else "torn") for status in statuses))
    assert (verdict.status, verdict.exit_code) == (status, exit_code)


@pytest.mark.parametrize(
    ("hours", "words", "exit_code"),
    [
        (0, ["fresh"], 0),
        (20, ["fresh"], 0),
        (20.1, ["late"], 0),
        (44, ["late"], 0),
        (44.1, ["stale"], 1),
        (-6.2, ["future"], 1),
    ],
)
def test_the_same_files_grow_old(local, hours, words, exit_code):
    verdict = look(local, NOW + timedelta(hours=hours))
    assert (verdict.words, verdict.exit_code) == (words, exit_code)


def test_two_things_that_are_wrong_are_both_in_the_headline(local):
    reader = replace_held(local, None)
    verdict = look(reader, NOW + timedelta(days=9))
    assert verdict.words == ["missing", "stale"]
    assert as_text(verdict).startswith("missing and stale: ")


def replace_held(local, held):
    """The same store, of whose files something else is told."""

    class Told:
        where = local.where
        current = local.current

        def held(self, _file, *, newest=False):  # noqa: ARG002 - the shape of a reader
            return held

    return Told()


def test_the_text_has_a_line_for_each_check_and_what_to_do_below_what_did_not_pass(local):
    whole = as_text(look(local)).splitlines()
    assert [line.split()[:2] for line in whole[1:]] == [
        ["pass", "generated_at"],
        ["pass", "data_through"],
        ["pass", "files"],
    ]
    old = as_text(look(local, NOW + timedelta(days=9))).splitlines()
    place = next(place for place, line in enumerate(old) if line.startswith("error        generated_at"))
    assert old[place + 1].strip() == "expected: at most 26 h, and never more than 50 h"
    assert old[place + 2].strip().startswith("to do:    publish with `fab etl-sync`")


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_the_json_has_the_shape_of_sources_json_of_dbt(local):
    document = json.loads(as_json(look(local, NOW + timedelta(hours=21), closed_weekdays=("mon",))))
    assert set(document) == {"metadata", "results", "elapsed_time"}
    generated, data, files = document["results"]
    assert {key: generated[key] for key in list(generated)[:6]} == {
        "unique_id": "kpi-ops.generated_at",
        "status": "warn",
        "max_loaded_at": "2026-11-22T06:00:00Z",
        "snapshotted_at": "2026-11-23T09:00:00Z",
        "max_loaded_at_time_ago_in_s": 27 * 3600,
        "closed_s": 0,
    }
    assert generated["criteria"] == {
        "warn_after": {"count": 26, "period": "hour"},
        "error_after": {"count": 50, "period": "hour"},
        "filter": None,
    }
    assert (data["max_loaded_at"], data["max_loaded_at_time_ago_in_s"]) == ("2026-11-22T00:00:00Z", 33 * 3600)
    assert data["closed_s"] == 9 * 3600
    assert (files["unique_id"], files["status"], len(files["files"])) == ("kpi-ops.files", "pass", 12)
    assert document["metadata"]["status"] == "warn"
    assert document["metadata"]["exit_code"] == 0


def test_a_limit_that_is_no_whole_hour_is_given_in_minutes(local):
    document = json.loads(as_json(look(local, generated_warn_h=25.5)))
    assert document["results"][0]["criteria"]["warn_after"] == {"count": 1530, "period": "minute"}


def test_what_cannot_be_told_is_a_runtime_error_in_json_and_still_has_its_clocks(tmp_path):
    document = json.loads(as_json(look(replace_held(DirectoryStore(tmp_path), None))))
    assert [(row["unique_id"], row["status"]) for row in document["results"]] == [
        ("kpi-ops.metadata.json", "error"),
        ("kpi-ops.generated_at", "error"),
        ("kpi-ops.data_through", "error"),
    ]
    assert document["results"][1]["max_loaded_at"] is None
    assert json.loads(as_json(verdict_of(found("unknown"))))["results"][0]["status"] == "runtime error"


# --- the badge -------------------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def shown_on(badge):
    root = ET.fromstring(badge)
    return [text.text for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "fresh, 12 h"), (20.1, "late, 26 h"), (200, "stale, 8 d"), (-6.2, "in the future")]
)
def test_the_badge_says_the_verdict_and_the_age_that_decided(local, hours, text):
    assert shown_on(as_badge(look(local, NOW + timedelta(hours=hours)))) == ["data", text]


def test_a_badge_about_files_or_about_nothing_shows_no_age(local):
    assert shown_on(as_badge(look(replace_held(local, None)))) == ["data", "missing"]
    assert shown_on(as_badge(verdict_of(found("unknown", age=timedelta(hours=3))))) == ["data", "unknown"]


def test_a_young_age_is_in_minutes_and_never_below_none():
    for age, text in ((timedelta(minutes=7), "fresh, 7 min"), (timedelta(hours=-3), "fresh, 0 min")):
        assert shown_on(as_badge(verdict_of(found("pass", "fresh", age=age)))) == ["data", text]


def test_the_badge_can_be_read_out_and_asks_no_other_host(local):
    badge = as_badge(look(local))
    root = ET.fromstring(badge)
    title = "data: fresh, 12 h (2026-11-22T12:00:00Z)"
    assert (root.get("role"), root.get("aria-label"), root.find(f"{SVG}title").text) == ("img", title, title)
    assert re.findall(r"https?://[^\"]+", badge) == ["http://www.w3.org/2000/svg"]
    assert not {"href", "src", "style"} & {name for element in root.iter() for name in element.attrib}


def test_whatever_stands_on_a_badge_it_is_text():
    words = {"label": "<b>", "text": "&", "title": "\"'<", "colour": "#444"}
    badge = render("badge.svg.j2", **words, label_px=20, text_px=20, margin_px=10)
    assert shown_on(badge) == ["<b>", "&"]


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("status", ["pass", "warn", "error", "unknown"])
def test_white_on_its_colours_can_be_read(status):
    badge = as_badge(verdict_of(found(status, "late" if status == "warn" else "torn")))
    for colour in set(re.findall(r"#[0-9a-f]{6}", badge)):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path):
    write_whole(tmp_path / "new" / "badge.svg", "one")
    write_whole(tmp_path / "new" / "badge.svg", "two")
    assert [(path.name, path.read_text()) for path in (tmp_path / "new").iterdir()] == [("badge.svg", "two")]
    (tmp_path / "taken").mkdir()
    for wrong in (tmp_path / "taken", tmp_path / "new" / "badge.svg" / "x"):
        with pytest.raises(KpiOpsError, match="cannot write"):
            write_whole(wrong, "three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "taken"]


# --- the page --------------------------------------------------------------------------------------------------------

URL = "http://dashboard.example:8501"


def of_page(shown, now=NOW, local=None, refresh_s=60.0):
    manifest = local.current().manifest if local else None
    return finding(Page(URL, refresh_s), shown, manifest, now)


def test_a_page_that_shows_the_published_run_passes(local):
    shown = Shown(ready=True, run_id=local.current().manifest.run_id)
    assert of_page(shown, local=local).status == "pass"
    assert "store: 503" in of_page(replace(shown, problem="store: 503"), local=local).seen


@pytest.mark.parametrize(("after_s", "status"), [(90, "warn"), (90.001, "error"), (6 * 3600, "error")])
def test_a_page_that_shows_another_run_is_behind_unless_that_was_made_just_now(local, after_s, status):
    published = local.current().manifest.generated_at
    seen = of_page(Shown(ready=True, run_id="older"), published + timedelta(seconds=after_s), local)
    assert (seen.status, seen.word) == (status, "behind")
    assert "shows run older" in seen.seen
    assert local.current().manifest.run_id in seen.expected


@pytest.mark.parametrize(
    "shown",
    [
        Shown(ready=False, run_id=None, problem="403"),
        Shown(ready=False, run_id="SAME", problem="ValueError: x"),
        ServeError("no answer", expected="one", to_do="start it"),
    ],
    ids=["nothing yet", "raising", "silent"],
)
def test_a_page_that_is_not_ready_cannot_tell(local, shown):
    if isinstance(shown, Shown) and shown.run_id:
        shown = replace(shown, run_id=local.current().manifest.run_id)
    assert of_page(shown, local=local).status == "unknown"


def test_without_a_manifest_there_is_nothing_to_compare_the_page_with():
    assert of_page(Shown(ready=True, run_id="run")).status == "unknown"


@pytest.fixture
def answering():
    """A function: what a server on this machine does with a GET -> its address."""
    servers = []

    def serve(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *_arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def saying(body, status=200, **headers):
    def answer(handler):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def test_what_readyz_says_is_read_also_where_it_is_not_ready(answering):
    said = {"ready": True, "run_id": "run", "last_script_error": None, "store_problem": None}
    assert ask(answering(saying(said))) == Shown(ready=True, run_id="run")
    raising = said | {"ready": False, "last_script_error": "KeyError: x", "store_problem": "403"}
    assert ask(answering(saying(raising, 503))) == Shown(ready=False, run_id="run", problem="KeyError: x; 403")
    assert ask(answering(saying(said | {"ready": False, "run_id": None}, 503))).run_id is None


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"<html>", b"[]", b"null", b'"x"', b"{}", b'{"ready": 1, "run_id": "x"}', b'{"ready": true}',
     b'{"ready": true, "run_id": 7}', b"[" * 90_000, b" " * 200_000, b"\xff"],
    ids=lambda body: f"{body[:20]!r} {len(body)}",
)  # fmt: skip
def test_what_is_not_the_answer_of_a_dashboard_is_said(answering, body):
    with pytest.raises(ServeError, match="not as a dashboard of kpi-ops does"):
        ask(answering(saying(body)))


def test_no_more_is_read_of_an_endless_answer_than_a_dashboard_would_say(answering):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while len(sent) < 5000:
                handler.wfile.write(bytes(1 << 14))
                sent.append(1 << 14)

    with pytest.raises(ServeError, match="not as a dashboard"):
        ask(answering(endless))
    assert sum(sent) < 50_000_000


def test_a_page_that_sends_its_visitors_elsewhere_is_not_followed(answering):
    elsewhere = answering(saying({"ready": True, "run_id": "run"}))
    with pytest.raises(ServeError, match="answered 302"):
        ask(answering(saying(b"", 302, Location=f"{elsewhere}/readyz")))


def test_a_page_that_nobody_serves_gives_no_answer(closed_port):
    with pytest.raises(ServeError, match=r"gave no answer: .*Connection refused\n"):
        ask(f"http://127.0.0.1:{closed_port}")


def test_an_answer_that_breaks_off_is_none(answering):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"ready"')

    def nonsense(handler):
        handler.wfile.write(b"\x00\x01\x02")

    def packed(handler):
        saying(b"not gzip", Content_Encoding="gzip")(handler)

    for answer in (cut, nonsense, packed):
        with pytest.raises(ServeError):
            ask(answering(answer))


def test_a_page_that_drips_is_left_when_the_time_is_over(answering, local):
    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    patience = Patience(attempts=1, deadline_s=0.5, sleep=lambda _s: None)
    began = time.monotonic()
    page = Page(answering(drip), 60)
    verdict = checkup(lambda: local, FreshnessSettings(), now=NOW, page=page, patience=patience)
    assert time.monotonic() - began < 5
    assert (verdict.words, verdict.exit_code) == (["cannot tell"], 3)


def test_the_page_is_part_of_the_verdict(answering, local):
    run = local.current().manifest.run_id
    same = answering(saying({"ready": True, "run_id": run}))
    other = answering(saying({"ready": True, "run_id": "older"}))
    assert look(local, page=Page(same, 60)).words == ["fresh"]
    behind = look(local, page=Page(other, 60))
    assert (behind.words, behind.exit_code) == (["behind"], 1)
    assert shown_on(as_badge(behind)) == ["data", "page is behind"]


def test_the_page_is_asked_before_the_store_so_that_it_is_never_ahead(answering, local):
    order = []

    def answer(handler):
        order.append("page")
        saying({"ready": True, "run_id": "x"})(handler)

    def opened():
        order.append("store")
        return local

    checkup(opened, FreshnessSettings(), now=NOW, page=Page(answering(answer), 60), patience=AT_ONCE)
    assert order == ["page", "store"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:8501", "http://h:8501/readyz"),
        ("http://h:8501/", "http://h:8501/readyz"),
        ("https://h/shop/?period=7d#x", "https://h/shop/readyz"),
        ("http://[::1]:8501", "http://[::1]:8501/readyz"),
    ],
)
def test_readyz_lies_below_the_address_of_the_page(url, address):
    assert readyz(url) == address


@pytest.mark.parametrize(
    "url",
    ["h:8501", "ftp://h", "http://", "http://h:port", "http://h:0", "http://[::1", "http://me:secret@h", "http://h h"],
)
def test_an_address_that_cannot_be_asked_is_a_wrong_setting_and_its_secrets_stay(url):
    with pytest.raises(SettingsError) as caught:
        page_at(url, 60)
    assert "secret" not in str(caught.value)


def test_no_address_is_no_page():
    assert page_at("", 60) is None


# --- in the uptime check ---------------------------------------------------------------------------------------------


def test_the_line_of_the_uptime_check_says_ages_and_files(sample_snapshot_dir):
    assert freshness_line(partial(judge, str(sample_snapshot_dir), now=NOW, limits=FreshnessSettings())) == (
        "freshness: fresh: generated 6 h 0 min ago; data through 2026-11-21, a day that ended 12 h 0 min ago; "
        "12 files are whole"
    )


@pytest.mark.parametrize("address", ["ftp://bucket", "http://[", "nowhere\0"])
def test_no_address_of_a_store_ends_the_uptime_check(address):
    judged = partial(judge, address, now=NOW, limits=FreshnessSettings())
    assert freshness_line(judged).startswith("freshness: cannot tell: ")


# --- as it is typed --------------------------------------------------------------------------------------------------


@pytest.fixture
def fab(tmp_path, s3_endpoint):
    """A function that runs `fab` in a directory of its own, AWS being the embedded server."""
    (tmp_path / "fabfile.py").write_text("from tasks import ns\n")
    (tmp_path / "settings.toml").write_text((ROOT / "settings.toml").read_text())
    aws = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    environment = {"PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": s3_endpoint, "NO_COLOR": "1"} | aws

    def run(*words, **more):
        command = [FAB, *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment | more, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_fab_freshness_from_a_fresh_bucket_to_a_torn_one_to_none(fab, shop, new_bucket, tmp_path):
    store = new_bucket()
    bucket = {"KPI_S3__BUCKET": store.bucket}
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    sales = shop(("1", "A", "THING", 1, yesterday, "10", "7", "UK"))

    nothing = fab("freshness", **bucket)
    assert (nothing.returncode, nothing.stdout.split(":")[0]) == (1, "missing")

    published = fab("etl-sync", "--source", sales, **bucket)
    assert published.returncode == 0, published.stderr
    fresh = fab("freshness", "--badge", "out/badge.svg", **bucket)
    assert (fresh.returncode, fresh.stdout.split(":")[0], fresh.stderr) == (0, "fresh", "")
    assert shown_on((tmp_path / "out" / "badge.svg").read_text())[1].startswith("fresh, ")

    store.client.put_object(Bucket=store.bucket, Key="processed/rfm.parquet", Body=b"PAR1")
    torn = fab("freshness", "--json", "--badge", "out/badge.svg", **bucket)
    assert (torn.returncode, torn.stderr) == (1, "")
    assert json.loads(torn.stdout)["metadata"]["words"] == ["foreign"]
    assert shown_on((tmp_path / "out" / "badge.svg").read_text())[1] == "foreign"

    gone = fab("freshness", "--json", KPI_S3__BUCKET="no-such-bucket-here")
    assert (gone.returncode, gone.stderr) == (3, "")
    assert json.loads(gone.stdout)["metadata"]["status"] == "runtime error"


def test_fab_freshness_asks_the_page_that_it_is_told(fab, local, answering):
    run = local.current().manifest.run_id
    page = answering(saying({"ready": True, "run_id": run}))
    done = fab("freshness", "--json", "--dashboard", page, KPI_DASHBOARD__STORE=str(local.path))
    rows = {row["unique_id"]: row for row in json.loads(done.stdout)["results"]}
    assert rows["kpi-ops.dashboard"]["status"] == "pass"
    settings = {"KPI_DASHBOARD__STORE": str(local.path), "KPI_FRESHNESS__DASHBOARD": page}
    assert "dashboard" in fab("freshness", **settings).stdout


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--dashboard", "dashboard:8501"], {}, "the address of the dashboard cannot be used"),
        (["--badge", "settings.toml/x"], {}, "cannot write settings.toml/x"),
        ([], {"KPI_FRESHNESS__CLOSED_WEEKDAYS": '["caturday"]'}, "freshness.closed_weekdays"),
        ([], {"KPI_DASHBOARD__STORE": "ftp://x"}, "has an unknown form"),
    ],
    ids=["page", "badge", "calendar", "store"],
)
def test_a_mistake_gets_one_message_and_exit_status_3(fab, local, words, environment, said):
    done = fab("freshness", *words, **{"KPI_DASHBOARD__STORE": str(local.path)} | environment)
    assert done.returncode == 3
    assert said in done.stderr
    assert "to do:" in done.stderr
    assert "Traceback" not in done.stderr
