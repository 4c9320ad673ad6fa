"""What `etl --check` tells of sales files, and that it writes nothing."""

import io
import os
from datetime import UTC, date, datetime

import pytest

from etl.check import Gap, check, gaps, told
from etl.cli import look, main
from etl.errors import ExitCode, SourceError
from etl.run import Job

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
DAY = "2026-03-02"


def line(invoice="1", sku="A1", quantity=1, at=DAY, price="10", customer="7", *, description="THING", country="UK"):
    return invoice, sku, description, quantity, at, price, customer, country


@pytest.fixture
def messy(shop):
    """A shop with a bit of everything."""
    many = [line(invoice=str(number), at=f"2026-03-{number:02}") for number in range(1, 29) if not 8 <= number <= 12]
    bad = [line(invoice=f"9{number}", quantity="many") for number in range(5)]
    codes = [line(invoice="30", sku="PORTO", price="4.90"), line(invoice="31", sku="PORTO", price="4.90")]
    return shop(*many, *many[:3], *bad, line(invoice="A1"), *(line(sku=f"B{n}") for n in range(60)), *codes)


def looked_at(*paths, **options):
    return check(paths, Job(None, "GBP", NOW, "test", **options))


def test_lines_are_counted_by_reason_with_three_of_each(messy):
    found = looked_at(messy)
    assert (found.rows_in, found.rows_kept) == (94, 88)
    assert found.quarantine == {"malformed": 5, "bad_debt": 1}
    assert [file for file, _ in found.examples["malformed"]] == ["shop.csv"] * 3
    assert found.examples["malformed"][0][1].startswith("90 | A1 | THING | many | 2026-03-02")
    assert found.examples["bad_debt"] == [("shop.csv", "A1 | A1 | THING | 1 | 2026-03-02 00:00:00 | 10.000 | 7 | UK")]


def test_days_without_a_sale_copies_and_codes_that_may_be_services_are_told(messy):
    found = looked_at(messy)
    assert found.duplicate_rows == 3
    assert gaps(found.days_sold) == [Gap(date(2026, 3, 8), date(2026, 3, 12))]
    assert [(code.sku, code.lines, code.amount_mills) for code in found.unknown_codes] == [("PORTO", 2, 9800)]
    text = told(found)
    assert "sold from 2026-03-01 through 2026-03-28; 5 of 28 days without a sale" in text
    assert "    5 days: 2026-03-08 through 2026-03-12" in text
    assert "repeated: 3 lines (3.19%) equal another one; they count; --drop-duplicates leaves them out" in text
    assert "    PORTO: 2 lines, GBP 9.80" in text
    assert text.splitlines()[0] == "shop.csv: 94 lines, layout online_retail, CSV, utf-8, commas"


def test_codes_without_digits_tell_nothing_in_a_shop_whose_products_have_none(shop):
    assert looked_at(shop(line(sku="SHIRT"), line(sku="SHOES"), line(sku="A1"))).unknown_codes == []


def test_lines_of_overlapping_files_are_told_once(shop):
    first = shop(line(invoice="1"), line(invoice="2"), name="a.csv")
    second = shop(line(invoice="2"), line(invoice="3"), name="b.csv")
    found = looked_at(first, second)
    assert (found.rows_in, found.overlap_rows) == (3, 1)
    assert "in several files: 1 lines of invoices that another file has; each counts once" in told(found)


def test_nothing_is_written_and_the_snapshot_that_is_there_stays(messy, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    before = sorted(os.walk(tmp_path))
    assert main(["--source", str(messy), "--check"]) == ExitCode.GOOD
    assert sorted(os.walk(tmp_path)) == before
    out = capfd.readouterr().out
    assert out.startswith("shop.csv: 94 lines")
    assert out.endswith("nothing was written\n")


class Choices:
    layout, dates, time_zone, currency, drop_duplicates = "auto", "auto", "", "GBP", False


@pytest.mark.parametrize("lines", [[], [line(quantity="x")]])
def test_files_of_which_no_line_would_count_fail_the_check_and_are_told_all_the_same(shop, lines):
    out = io.StringIO()
    assert look([shop(*lines)], Choices(), now=NOW, out=out, stream=io.StringIO()) == ExitCode.CHECK_FAILED
    assert f"kept 0 of {len(lines)} lines" in out.getvalue()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        looked_at(tmp_path / "none.csv")


def test_control_characters_of_a_file_do_not_reach_the_terminal(shop):
    found = looked_at(shop(line(), line(quantity="x", description="\x1b[2Jgone")))
    assert "\x1b" not in told(found)
