"""Telling: channels side by side, each with its own troubles; in the end everything is told, and nothing twice."""

import itertools
import random
import threading
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.store import Patience
from ops.alerts import ledger
from ops.alerts.channels import channels
from ops.alerts.decide import News, is_over
from ops.alerts.send import PATIENCE, tell
from ops.alerts.wire import Undelivered
from ops.settings import AlertSettings
from ops.uptime.history import history_of
from ops.uptime.incidents import incidents
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import PHASES, Result
from ops.uptime.record import Sample
from ops.uptime.rules import Rules
from tests.made_incidents import at, incident, news, numbers, told

DOWN = incident(6)


class Fake:
    """A channel that keeps what it was sent, and fails as it is told."""

    def __init__(self, name="webhook", failing=None, note=""):
        self.name, self.failing, self.note, self.sent = name, failing, note, []

    def send(self, message, *, deadline, now):  # noqa: ARG002 - the shape of a channel
        if self.failing:
            self.failing(message)
        self.sent.append(message)
        return self.note


def fails(error):
    def failing(_):
        raise error

    return failing


def outcomes(found):
    return [(entry.channel, entry.target, entry.outcome, entry.detail) for entry in found.entries]


# --- one run


def test_what_was_told_is_said_and_noted():
    found = tell(news(7, DOWN), (), [Fake("github", note="#12")])
    assert found.entries == (told("opened", 6, 7, "github", detail="#12"),)
    assert found.lines == ("told github: dashboard is down since 2026-11-22T06:00:00Z (tcp / refused) (#12)",)


def test_where_nothing_is_due_nothing_is_asked_for_and_nothing_is_said():
    fake = Fake()
    assert tell(news(7), (), [fake]).lines == tell(news(7, DOWN), [told("opened", 6, 7)], [fake]).lines == ()
    assert fake.sent == []


@pytest.mark.parametrize(
    ("error", "why"), [(Undelivered("answered 404"), "answered 404"), (KeyError("http://secret"), "failed: KeyError")]
)
def test_a_channel_that_fails_stops_no_other_and_raises_nothing(error, why):
    good = [Fake("github"), Fake("sns")]
    found = tell(news(7, DOWN), (), [good[0], Fake("webhook", fails(error)), good[1]])
    assert [len(fake.sent) for fake in good] == [1, 1]
    assert ("webhook", "dashboard", "dead", why) in outcomes(found)
    assert "secret" not in repr(found)


def test_a_channel_that_never_answers_is_left_behind_at_the_deadline():
    forever = threading.Event()
    began = time.monotonic()
    stuck = Fake("github", lambda _: forever.wait(20))
    found = tell(news(7, DOWN), (), [stuck, Fake("sns")], patience=Patience(1, 0.1), grace_s=0.1)
    took_s = time.monotonic() - began
    forever.set()
    assert outcomes(found) == [
        ("github", "dashboard", "dead", "not done after 0.1 s"),
        ("sns", "dashboard", "sent", ""),
    ]
    assert took_s < 15


def test_all_of_it_is_over_within_a_minute():
    assert PATIENCE.deadline_s + 5 < 60


def two_targets(now, *, kinds=("down", "down")):
    names = ("api", "dashboard")
    return News(at(now), dict.fromkeys(names, numbers(DOWN)), dict(zip(names, kinds, strict=True)), Rules())


def test_after_a_hopeless_failure_a_channel_is_asked_for_nothing_more():
    asked = []

    def failing(message):
        asked.append(message)
        raise Undelivered("answered 401", hopeless=True)

    found = tell(two_targets(7), (), [Fake(failing=failing)])
    assert len(asked) == 1
    assert outcomes(found) == [
        (*pair, "dead", "answered 401") for pair in [("webhook", "api"), ("webhook", "dashboard")]
    ]


def test_after_a_refused_message_the_next_thread_is_told():
    def failing(message):
        if message.thread.target == "api":
            raise Undelivered("answered 422")

    found = tell(two_targets(7), (), [Fake(failing=failing)])
    assert [(target, outcome) for _, target, outcome, _ in outcomes(found)] == [("api", "dead"), ("dashboard", "sent")]


def test_no_start_is_told_before_the_end_of_the_one_before():
    def failing(message):
        if message.event == "closed":
            raise Undelivered("answered 422")

    before = (told("opened", 6, 7),)
    fake = Fake(failing=failing)
    found = tell(news(20, incident(6, 8), incident(19)), before, [fake])
    assert (fake.sent, [entry.outcome for entry in found.entries]) == ([], ["dead", "dead"])
    fake.failing = None
    found = tell(news(20.5, incident(6, 8), incident(19)), before + found.entries, [fake])
    assert [message.event for message in fake.sent] == ["closed", "reopened"]


def test_a_dead_letter_is_written_once_for_each_thing_that_could_not_be_told():
    broken = Fake(failing=fails(Undelivered("answered 500", hopeless=True)))
    kept = ()
    for hour in range(7, 40):
        kept += tell(news(hour, DOWN), kept, [broken]).entries
    assert [(entry.event, entry.outcome) for entry in kept] == [("opened", "dead")]
    kept += tell(news(40, DOWN), kept, [Fake()]).entries
    for hour in range(64, 70):
        kept += tell(news(hour, DOWN), kept, [broken]).entries
    kept += tell(news(70, DOWN), kept, [Fake()]).entries
    kept += tell(news(94, DOWN), kept, [broken]).entries
    assert [(entry.event, entry.outcome) for entry in kept] == [
        ("opened", "dead"),
        ("opened", "sent"),
        ("reminder", "dead"),
        ("reminder", "sent"),
        ("reminder", "dead"),
    ]


def test_what_the_channel_noted_comes_back_to_it():
    fake = Fake("github")
    tell(news(9, incident(6, 8)), [told("opened", 6, 7, "github", detail="#12")], [fake])
    assert [message.memo for message in fake.sent] == ["#12"]


# --- what settings switch on


def test_settings_switch_channels_on():
    everything = AlertSettings(github=True, webhook="http://hooks.example/x", sns_topic="arn:aws:sns:eu-west-1:1:x")
    found = channels(everything, api="", repository="ann/shop", token="t")
    assert ([one.name for one in found.on], found.lines) == (["github", "webhook", "sns"], [])
    assert found.on[0].api == "https://api.github.com"
    assert found.on[0].repository == "ann/shop"
    assert channels(AlertSettings(), api="", repository="ann/shop", token="t").on == []


def test_the_repository_that_settings_name_goes_before():
    found = channels(
        AlertSettings(github=True, repository="bob/ops"), api="http://x/api", repository="ann/shop", token="t"
    )
    assert (found.on[0].repository, found.on[0].api) == ("bob/ops", "http://x/api")


@pytest.mark.parametrize(
    ("repository", "token", "missing"), [("ann/shop", "", "GITHUB_TOKEN is not set"), ("", "t", "no repository")]
)
def test_a_channel_that_cannot_be_used_is_said_and_the_others_are_on(repository, token, missing):
    wanted = AlertSettings(github=True, webhook="http://hooks.example/x")
    found = channels(wanted, api="", repository=repository, token=token)
    assert [one.name for one in found.on] == ["webhook"]
    assert missing in found.lines[0]


def test_no_secret_stands_in_the_words_of_a_channel():
    wanted = AlertSettings(github=True, webhook="http://hooks.example/hush")
    assert "hush" not in repr(channels(wanted, api="", repository="a/b", token="hush"))


# --- any history, any failures

SLOT = timedelta(minutes=30)
CHANNELS = ("github", "webhook", "sns")
CALM = Rules(calm_changes=10_000)
FAILURES = (None, Undelivered("answered 422"), Undelivered("no answer", hopeless=True), RuntimeError("a bug"))
HISTORY = st.lists(
    st.sampled_from(["u", "uu", "uuuuuu", "d", "dd", "ddddd", "D", "?", " ", "u" * 50]), max_size=25
).map("".join)


def sample(slot, letter):
    verdict, attempts = {"u": ("up", 1), "d": ("down", 1), "D": ("down", 3), "?": ("unknown", 1)}[letter]
    return Sample(at=at(slot / 2), target="dashboard", by="github", run=None,
                  result=Result(verdict, None, None, None, dict.fromkeys(PHASES), attempts))  # fmt: skip


def news_at(slot, samples, rules, maintenance=()):
    now = at(slot / 2)
    tracks = history_of(one for one in samples if one.at <= now).tracks
    found = incidents(tracks, now=now, rules=rules, maintenance=maintenance) if tracks else []
    return News(now, {"dashboard": numbers(*found)}, {"dashboard": "down"}, rules, maintenance, timedelta(hours=3))


def played(letters, rules, seed, maintenance=()):
    """Run after run over a history while channels fail by chance, then twice while all is well.

    Returns the fakes, and the news of the last run. What was told is kept as lines that are shuffled and doubled.
    """
    chance = random.Random(seed)
    fakes = [Fake(name) for name in CHANNELS]
    samples = [sample(slot, letter) for slot, letter in enumerate(letters) if letter != " "]
    lines = []
    runs = [slot for slot in range(len(letters)) if chance.random() < 0.8]
    for slot in [*runs, len(letters) + 12, len(letters) + 13]:
        there = news_at(slot, samples, rules, maintenance)
        for fake in fakes:
            error = chance.choice(FAILURES) if slot < len(letters) else None
            fake.failing = fails(error) if error else None
        chance.shuffle(lines)
        kept = ledger.parsed([*lines, *lines[:3]])
        lines += [entry.to_line() for entry in tell(there, kept.entries, fakes, patience=Patience(1, 20)).entries]
    return fakes, there


def starts_and_ends(fake):
    """The events in which something opened or closed, without reminders."""
    return [message.event for message in fake.sent if message.event != "reminder"]


def is_open_at_the_end(fake):
    """Whether what opened is open. A message that does not fit to those before fails the test."""
    is_open = False
    for message in fake.sent:
        fits = {"opened": not is_open, "reopened": not is_open, "passed": not is_open}.get(message.event, is_open)
        assert fits, [each.event for each in fake.sent]
        is_open = message.event in ("opened", "reopened", "reminder")
    return is_open


@given(HISTORY, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_incident_is_told_opened_once_and_closed_once_on_each_channel(letters, seed):
    fakes, there = played(letters, CALM, seed)
    known = there.targets["dashboard"].incidents
    for fake in fakes:
        assert is_open_at_the_end(fake) is any(one.first_good is None for one in known)
        for event in (("opened", "reopened", "passed"), ("closed", "passed")):
            told_of = [v["start"] for m in fake.sent if m.event in event for v in m.values["incidents"]]
            over = [one for one in known if "closed" not in event or one.first_good]
            matters = {f"{one.start:%Y-%m-%dT%H:%M:%SZ}" for one in over}
            assert len(told_of) == len(set(told_of))
            assert set(told_of) == matters


@given(HISTORY, st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_flapping_or_not_in_maintenance_or_not_starts_and_ends_take_turns(letters, seed, start, slots):
    apart = (Maintenance(at(start / 2), at((start + slots) / 2), "a new disk"),)
    fakes, there = played(letters, Rules(), seed, apart)
    known = there.targets["dashboard"].incidents
    for fake in fakes:
        still_open = is_open_at_the_end(fake)
        quiet = any(m.end > one.last_bad for one in known[-1:] for m in apart)
        assert still_open == bool(known and not is_over(known[-1], there)) or quiet


@given(HISTORY, st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_reminders_come_no_more_often_than_asked_for(letters, seed):
    fakes, _ = played(letters, Rules(), seed)
    for fake in fakes:
        since = [m for m in fake.sent if m.event in ("opened", "reopened", "reminder")]
        for before, after in itertools.pairwise(since):
            told_at = [message.body.rpartition("As of ")[2][:20] for message in (before, after)]
            if after.event == "reminder":
                assert told_at[1] >= told_at[0]
                assert _hours(told_at[1]) - _hours(told_at[0]) >= 3


def _hours(moment):
    return (ledger.moment_of({"t": moment}, "t") - at(0)) / timedelta(hours=1)
