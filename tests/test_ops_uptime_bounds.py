"""The interval beside every figure: no narrower than what was seen allows, no wider than it has to be."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.uptime.bounds import OUTAGES_MISSED, RECOVERIES_MISSED, Looks, Span, down_bounds
from ops.uptime.history import Track
from ops.uptime.rules import Rules
from ops.uptime.summary import timeline, windows

MIDNIGHT_S = 1_795_305_600
HALF_HOUR_S, HOLD_S, DAY_S = 1800, 2700, 86400


def looks(letters: str, cadence_s: int = HALF_HOUR_S) -> Looks:
    """A look each half hour from midnight on; a space is a slot in which nobody looked."""
    seen = [(MIDNIGHT_S + slot * cadence_s, letter) for slot, letter in enumerate(letters) if letter != " "]
    return [at_s for at_s, _ in seen], "".join(letter for _, letter in seen).encode()


def half_hours(*letters: str, start: float = 0, end: float | None = None, apart: tuple[tuple[float, float], ...] = ()):
    """Least and most half hours down between two slots, by default from the first look to the last."""
    beyond = len(letters[0]) - 1 if end is None else end
    least_s, most_s = down_bounds(
        [looks(each) for each in letters],
        hold_s=HOLD_S,
        start_s=second(start),
        end_s=second(beyond),
        maintenance=[(second(first), second(last)) for first, last in apart],
    )
    return Fraction(least_s, HALF_HOUR_S), Fraction(most_s, HALF_HOUR_S)


def second(slot: float) -> int:
    return MIDNIGHT_S + int(slot * HALF_HOUR_S)


GOOD = "u" * 13  # twelve times between two good looks: more than can all be missed
A_SECOND = Fraction(1, HALF_HOUR_S)


@pytest.mark.parametrize(
    ("letters", "least", "most"),
    [
        pytest.param(GOOD, 0, 9, id="all is well: nine times between two looks may hide something"),
        pytest.param("g" * 13, 0, 9, id="degraded works"),
        pytest.param("uuuu", 0, 3, id="not more than there is"),
        pytest.param("u", 0, 0, id="a single moment"),
        pytest.param(GOOD + "d" + GOOD, A_SECOND, 2 + 9, id="a bad look: a second, or from good look to good look"),
        pytest.param(GOOD + "d" * 8 + GOOD, 7 - 4, 9 + 9, id="down between bad looks, but for four recoveries"),
        pytest.param(GOOD + "ddd" + GOOD, 3 * A_SECOND, 4 + 9, id="a second each, where all between may be recoveries"),
        pytest.param(GOOD + "k" + GOOD, 0, 2 + 9, id="who cannot tell says nothing"),
        pytest.param(GOOD + "  " + GOOD, 0, 3 + 9, id="nobody looked for longer than a look speaks"),
        pytest.param("d" * 7 + "  " + "d" * 7, 12 - 4, 15, id="nor is it known to be down then"),
        pytest.param("k" * 13, 0, 12, id="nobody could ever tell"),
    ],
)
def test_what_lies_between_two_looks_bounds_what_was_down(letters: str, least: float, most: float):
    assert half_hours(letters) == (least, most)


def test_of_two_looks_before_a_window_only_the_later_speaks_for_its_beginning():
    """The host looks a quarter of an hour after GitHub, which sees it down once, while the host still sees it up."""
    quarter_s = HALF_HOUR_S // 2
    at_s, letters = looks("u" * 14)
    host = [second + quarter_s for second in at_s], letters
    bounds = down_bounds(
        [(at_s, b"ud" + letters[2:]), host], hold_s=HOLD_S, start_s=at_s[0] + quarter_s + 60, end_s=at_s[-1]
    )
    assert bounds == (0, 2 * quarter_s - 60 + 9 * quarter_s)


@pytest.mark.parametrize(("apart_s", "most_s"), [(HOLD_S, 9 * HOLD_S), (HOLD_S + 1, 12 * (HOLD_S + 1))])
def test_looks_speak_for_the_time_between_them_as_long_as_a_sample_does(apart_s: int, most_s: int):
    seen = looks(GOOD, apart_s)
    assert down_bounds([seen], hold_s=HOLD_S, start_s=MIDNIGHT_S, end_s=seen[0][-1]) == (0, most_s)


@pytest.mark.parametrize("vantage_points", [1, 2])
def test_a_look_that_cannot_tell_parts_good_ones_that_are_near(vantage_points: int):
    cadence_s = HOLD_S // 4
    seen = looks(GOOD + "k" + GOOD, cadence_s)
    bounds = down_bounds([seen] * vantage_points, hold_s=HOLD_S, start_s=MIDNIGHT_S, end_s=seen[0][-1])
    assert bounds == (0, (9 + 2) * cadence_s)


def test_before_the_first_look_and_after_the_last_anything_is_possible():
    assert half_hours(GOOD, start=-2) == (0, 2 + 9)
    assert half_hours(GOOD, end=13) == (0, 1 + 9)


def test_the_look_before_a_window_speaks_for_its_beginning():
    assert half_hours(GOOD + "d" * 8, start=16.5) == (3 * A_SECOND, 3.5)
    assert half_hours("dd" + GOOD, start=1.5) == (0, 0.5 + 9)


def test_a_look_after_the_window_speaks_for_its_end():
    assert half_hours(GOOD, end=11.5) == (0, 9)
    assert half_hours(GOOD + "d", end=12.5) == (0, 0.5 + 9)


@pytest.mark.parametrize(
    "apart", [((4, 6),), ((4, 5), (5, 6)), ((4, 5.5), (4.5, 6)), ((5, 6), (4, 6))], ids=["one", "two", "overlap", "in"]
)
def test_maintenance_is_taken_out_each_second_once(apart: tuple[tuple[float, float], ...]):
    assert half_hours("d" * 13, apart=apart) == (10 - 4, 10)


def test_what_was_down_in_maintenance_does_not_count():
    assert half_hours(GOOD + "d" + GOOD, apart=((12, 14),)) == (0, 9)
    assert half_hours(GOOD + "d" + GOOD, apart=((12.5, 13.5),)) == (0, 1 + 9)


def test_maintenance_outside_the_window_changes_nothing():
    assert half_hours(GOOD, apart=((-9, -1), (12, 20))) == (0, 9)


def test_what_comes_each_night_between_two_looks_is_allowed_for_each_night():
    month = 30 * 48
    assert half_hours("u" * (month + 1)) == (0, 30)


def test_looks_that_move_through_the_day_leave_no_place_for_it():
    cadence_s, month = 29 * 60, 30 * 48
    least_s, most_s = down_bounds(
        [looks("u" * month, cadence_s)], hold_s=HOLD_S, start_s=MIDNIGHT_S, end_s=MIDNIGHT_S + (month - 1) * cadence_s
    )
    assert (least_s, most_s) == (0, OUTAGES_MISSED * cadence_s)


def test_a_time_of_day_in_which_nobody_ever_looks_is_not_counted_twice():
    by_day = (" " * 16 + "u" * 18 + " " * 14) * 7
    silent = 6 * 31 + 16 + 14
    assert half_hours(by_day) == (0, silent + 9)


# --- several vantage points ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("github", "host", "least", "most"),
    [
        pytest.param(GOOD * 2, GOOD * 2, 0, 9, id="both see it up"),
        pytest.param("d" * 26, "d" * 26, 25 - 4, 25, id="both see it down"),
        pytest.param("d" * 26, "u" * 26, 0, 25, id="one sees it up, the other never: it may be either"),
        pytest.param("d" * 26, "k" * 26, 25 - 4, 25, id="who cannot tell has no say"),
        pytest.param("u" * 26, "k" * 26, 0, 9, id="nor spoils it for the other"),
        pytest.param("u" + " " * 24 + "u", "u" * 26, 0, 9, id="one looks while the other does not"),
        pytest.param(
            "u" + "d" * 25, "u" + " " * 25, 23 - 4, 25, id="what the other saw holds for a while, then no more"
        ),
    ],
)
def test_with_two_vantage_points_it_is_up_where_anybody_saw_it_up(github: str, host: str, least: float, most: float):
    assert half_hours(github, host) == half_hours(host, github)
    assert half_hours(github, host) == (least, most)


# --- any history that these looks allow ------------------------------------------------------------------------------

HORIZON_S = 120
HOLD_OF_A_FEW_S = 6

tracks = st.lists(st.tuples(st.integers(1, 12), st.sampled_from("uuugdddk")), min_size=1, max_size=40).map(
    lambda steps: (
        [sum(step for step, _ in steps[: place + 1]) for place in range(len(steps))],
        "".join(letter for _, letter in steps).encode(),
    )
)
spans = st.lists(
    st.tuples(st.integers(-10, HORIZON_S), st.integers(1, 30)).map(lambda pair: (pair[0], sum(pair))), max_size=3
)


def hidden(random: Random, first_s: int, last_s: int, *, state: bool) -> dict[int, bool]:
    """Seconds from one look to the next, the look's own not, in which the other state was hidden."""
    start_s, end_s = sorted(random.choices(range(first_s + 1, last_s + 1), k=2)) if last_s > first_s else (0, 0)
    return dict.fromkeys(range(start_s, end_s), not state)


def any_truth(random: Random, seen: Looks) -> list[bool]:
    """Down or not, second by second: what the looks saw, and between them whatever the bounds allow for."""
    at_s, letters = seen
    down = [random.random() < 0.5 for _ in range(HORIZON_S + 1)]
    missed = {False: OUTAGES_MISSED, True: RECOVERIES_MISSED}
    pairs = list(zip(at_s, letters, [*at_s[1:], at_s[-1]], [*letters[1:], ord("k")], strict=True))
    random.shuffle(pairs)
    for first_s, says, last_s, then_says in pairs:
        says_down, same = says == ord("d"), says != ord("k") and (says == ord("d")) == (then_says == ord("d"))
        if says != ord("k") and first_s <= HORIZON_S:
            down[first_s] = says_down
        if same and then_says != ord("k") and last_s - first_s <= HOLD_OF_A_FEW_S:
            other = hidden(random, first_s, last_s - 1, state=says_down) if missed[says_down] else {}
            missed[says_down] -= bool(other)
            for at in range(first_s + 1, min(last_s, HORIZON_S + 1)):
                down[at] = other.get(at, says_down)
    return down


@given(tracks, spans, st.integers(0, HORIZON_S), st.randoms(use_true_random=False))
def test_no_history_that_hides_no_more_than_that_is_outside_the_bounds(
    seen: Looks, apart: list[Span], start_s: int, random: Random
):
    down = any_truth(random, seen)
    promised = [at_s for at_s in range(start_s, HORIZON_S) if not any(a <= at_s < b for a, b in apart)]
    least_s, most_s = down_bounds([seen], hold_s=HOLD_OF_A_FEW_S, start_s=start_s, end_s=HORIZON_S, maintenance=apart)
    assert 0 <= least_s <= sum(down[at_s] for at_s in promised) <= most_s <= len(promised)


def track(seen: Looks, by: str) -> Track:
    at_s, letters = seen
    moved = [MIDNIGHT_S + second for second in at_s]
    return Track("shop", by, moved, letters, bytes(len(letters)), {}, [])


@given(st.lists(tracks, min_size=1, max_size=3), st.integers(0, 600))
def test_the_reported_figure_lies_in_its_own_interval(seen: list[Looks], now_s: int):
    now = datetime.fromtimestamp(MIDNIGHT_S + now_s, UTC)
    rules = Rules(cadence=timedelta(seconds=HOLD_OF_A_FEW_S), hold_cadences=1)
    tracks = [track(each, str(place)) for place, each in enumerate(seen)]
    window = windows(tracks, timeline(tracks, now=now, hold=rules.hold), rules=rules)["24h"]
    if window.uptime is not None:
        assert 0 <= window.lowest <= window.uptime <= window.highest <= 1


@given(st.lists(tracks, min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_vantage_points_does_not_matter(seen: list[Looks], random: Random):
    shuffled = random.sample(seen, len(seen))
    bounds = [down_bounds(each, hold_s=HOLD_OF_A_FEW_S, start_s=0, end_s=HORIZON_S) for each in (seen, shuffled)]
    assert bounds[0] == bounds[1]


@given(tracks)
def test_two_vantage_points_that_say_the_same_are_one(seen: Looks):
    one, two = (down_bounds([seen] * number, hold_s=HOLD_OF_A_FEW_S, start_s=0, end_s=HORIZON_S) for number in (1, 2))
    assert one == two
