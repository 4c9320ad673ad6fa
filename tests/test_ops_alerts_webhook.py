"""Alerts to a webhook: what is posted, what is tried again, and an address that nobody ever reads."""

import http.server
import json
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from etl.store import Patience
from ops.alerts.decide import News
from ops.alerts.send import tell
from ops.alerts.webhook import Webhook, payload
from ops.alerts.wire import Undelivered
from tests.made_incidents import alert, at, incident, news
from tests.patient import Time, direct

SECRET = "T0SECRET/B0SECRET/xyzSECRET"
DOWN = incident(6)


class Stand:
    """A webhook that answers in turn as it is told, then 200 ok; a function takes the handler in its hands."""

    def __init__(self):
        self.answers, self.got = [], []
        stand = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                with suppress(ConnectionError):
                    super().handle_one_request()

            def log_message(self, *_):
                """Not on the screen of who runs the tests."""

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stand.got.append((self.path, dict(self.headers), body))
                answer = stand.answers.pop(0) if stand.answers else (200, b"ok", {})
                if callable(answer):
                    answer(self)
                else:
                    reply(self, *answer)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.005,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/services/{SECRET}"


def reply(handler, status, body=b"", headers=()):
    handler.send_response(status)
    for name, value in dict(headers).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def hang(handler):
    time.sleep(3)
    handler.close_connection = True


def yes_and_then_a_byte_now_and_then(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def reset(handler):
    handler.close_connection = True


@pytest.fixture
def stand():
    stand = Stand()
    yield stand
    stand.server.shutdown()
    stand.server.server_close()


def post(stand, *, deadline_s=50.0, clock=None):
    clock = clock or Time()
    patience = clock.patience(deadline_s)
    return Webhook(stand.url, direct).send(alert("opened", DOWN), deadline=patience.begin(), now=at(7))


def test_slack_gets_its_text_and_programs_their_fields(stand):
    assert post(stand) == ""
    ((path, headers, body),) = stand.got
    posted = json.loads(body)
    assert path == f"/services/{SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert posted["text"].startswith("dashboard is down since 2026-11-22T06:00:00Z (tcp / refused)\n- last good sample")
    assert "uptime 24h: 94.805 % (coverage 80.208 %, truly" in posted["text"]
    assert posted["kpi_ops"]["incidents"][0]["start"] == "2026-11-22T06:00:00Z"
    assert set(posted) == {"text", "kpi_ops"}


def test_nothing_in_the_text_calls_anybody():
    text = payload(alert("opened", incident(6, detail="<!channel> <@U1> & `@here`")))["text"]
    assert "- detail: `&lt;!channel&gt; &lt;@U1&gt; &amp; '@here'`" in str(text)


@pytest.mark.parametrize(
    "first",
    [(500, b"rollup_error"), (502,), (503, b"", {"Retry-After": "3"}), (429, b"", {"Retry-After": "2"}), reset],
    ids=["500", "502", "503", "429", "reset"],
)
def test_what_passes_is_tried_again_with_the_same_id(stand, first):
    stand.answers = [first]
    clock = Time()
    post(stand, clock=clock)
    assert len({json.loads(body)["kpi_ops"]["id"] for _, _, body in stand.got}) == 1
    assert len(stand.got) == 2
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    ("answer", "why", "hopeless"),
    [
        ((410, b"channel_is_archived"), "answered 410 channel_is_archived", True),
        ((404, b"<html>xyzSECRET</html>"), "answered 404", True),
        ((403, b"invalid_token"), "answered 403 invalid_token", True),
        ((400, b"invalid_payload"), "answered 400 invalid_payload", False),
        ((301, b"", {"Location": "http://127.0.0.1:1/"}), "answered 301", True),
        ((308, b"", {"Location": "http://127.0.0.1:1/"}), "answered 308", True),
    ],
)
def test_a_refusal_is_final_for_now_and_says_why_in_a_word(stand, answer, why, hopeless):
    stand.answers = [answer]
    with pytest.raises(Undelivered) as caught:
        post(stand)
    assert (caught.value.why, caught.value.hopeless, len(stand.got)) == (why, hopeless, 1)


def test_it_is_given_up_after_some_tries(stand):
    stand.answers = [(500,)] * 9
    with pytest.raises(Undelivered, match="answered 500"):
        post(stand)
    assert len(stand.got) == 4


def test_one_that_hangs_is_left_at_the_deadline(stand):
    stand.answers = [hang] * 4
    with pytest.raises(Undelivered, match="no answer in time"):
        post(stand, deadline_s=0.4)


def test_a_yes_is_a_yes_whatever_drips_after_it(stand):
    stand.answers = [yes_and_then_a_byte_now_and_then]
    assert post(stand) == ""
    assert len(stand.got) == 1


WRONG = ["http://127.0.0.1:9/", "http://127.0.0.1:99999/", "http://[::1/", "http://nobody.invalid/", "https://\udcff/"]


def told_to(url, there: News):
    clock = Time()
    return tell(there, (), [Webhook(url, direct)], patience=clock.patience(3.0, attempts=2))


@pytest.mark.parametrize("url", WRONG)
def test_an_address_that_cannot_be_used_is_a_dead_letter_without_the_address(url):
    found = told_to(url + SECRET, news(7, DOWN))
    assert [entry.outcome for entry in found.entries] == ["dead"]
    assert "SECRET" not in repr(found)


@pytest.mark.parametrize(
    "answer", [(404, SECRET.encode()), (500, SECRET.encode()), (301, b"", {"Location": f"http://x/{SECRET}"}), reset]
)
def test_the_address_stands_in_no_line_and_no_entry(stand, answer):
    stand.answers = [answer] * 2
    found = told_to(stand.url, news(7, DOWN))
    assert [entry.outcome for entry in found.entries] == ["dead"]
    assert "SECRET" not in repr(found)
    assert "SECRET" not in repr(Webhook(stand.url))


def test_a_dead_letter_is_written_once_and_what_it_holds_is_told_later_with_both_ends(stand):
    stand.answers = [(404,)] * 2
    first = told_to(stand.url, news(7, DOWN))
    again = tell(news(7.5, DOWN), first.entries, [Webhook(stand.url, direct)])
    assert ([entry.outcome for entry in first.entries], again.entries) == (["dead"], ())
    assert "tried again at the next run" in again.lines[0]
    later = tell(news(9, incident(6, 8)), first.entries, [Webhook(stand.url, direct)])
    assert [(entry.event, entry.outcome) for entry in later.entries] == [("passed", "sent")]
    assert json.loads(stand.got[-1][2])["text"].startswith("dashboard was down and is up again")
    assert tell(news(9.5, incident(6, 8)), later.entries, [Webhook(stand.url, direct)]).lines == ()


def test_a_message_that_is_refused_each_time_blocks_no_other(stand):
    two = news(7, DOWN)
    both = replace(
        two, targets=two.targets | {"api": two.targets["dashboard"]}, kinds={"api": "down", "dashboard": "down"}
    )
    stand.answers = [(500,)] * 8
    first = tell(both, (), [Webhook(stand.url, direct)], patience=Patience(1, 3.0, lambda _: None))
    assert [(entry.target, entry.outcome) for entry in first.entries] == [("api", "dead"), ("dashboard", "dead")]
    api_only = [entry for entry in first.entries if entry.target == "api"]
    stand.answers = []
    stand.got.clear()
    tell(both, api_only, [Webhook(stand.url, direct)])
    assert [json.loads(body)["kpi_ops"]["target"] for _, _, body in stand.got] == ["dashboard", "api"]
