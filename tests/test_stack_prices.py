from datetime import date

import pytest

from ops.settings import Settings
from ops.stack.prices import Amounts, estimate, price_list
from ops.stack.provision import costs

AMOUNTS = Amounts("t2.micro", disk_gb=16, alarms=8, metrics=9)
LIST = {
    "as_of": date(2026, 11, 1),
    "hours_a_month": 730,
    "assumed": {"s3_gb": 2, "log_gb": 3},
    "everywhere": {"public_ipv4_hour": 0.005, "alarm_month": 0.1, "metric_month": 0.3, "dashboard_month": 3.0},
    "regions": {
        "eu-west-1": {
            "gp3_gb_month": 0.1,
            "log_gb_taken_in": 0.5,
            "log_gb_month": 0.1,
            "s3_gb_month": 0.02,
            "instance_hour": {"t2.micro": 0.01},
        }
    },
}


def test_an_estimate_is_the_sum_of_what_is_paid_for_in_that_region():
    found = estimate(LIST, "eu-west-1", AMOUNTS)
    assert [cost.usd for cost in found.costs] == [7.3, 1.6, 3.65, 0.8, 2.7, 3.0, 1.8, 0.04]
    assert found.usd == pytest.approx(20.89)


def test_it_is_called_an_estimate_with_the_day_of_its_prices():
    first = estimate(LIST, "eu-west-1", AMOUNTS).text.splitlines()[0]
    assert first == "USD 20.89 a month, an estimate, as of 2026-11-01 (no tax, traffic or free allowance)"


def test_a_type_that_the_list_does_not_have_is_said_to_be_missing_and_not_counted_as_nothing():
    found = estimate(LIST, "eu-west-1", Amounts("m5.large", disk_gb=16, alarms=8, metrics=9))
    assert found.unknown == ("m5.large, 730 hours",)
    assert found.text.splitlines()[0].endswith("; not in it: m5.large, 730 hours")
    assert "  unknown  m5.large, 730 hours" in found.text.splitlines()
    assert found.usd == pytest.approx(20.89 - 7.3)


def test_a_region_that_the_list_does_not_have_has_no_estimate_at_all():
    first = estimate(LIST, "ap-south-2", AMOUNTS).text.splitlines()[0]
    assert first == "unknown: the price list, as of 2026-11-01, has nothing for ap-south-2"


def test_the_list_that_is_shipped_prices_the_default_machine_wherever_it_prices_anything():
    prices = price_list()
    assert isinstance(prices["as_of"], date)
    for region in prices["regions"]:
        assert estimate(prices, region, AMOUNTS).unknown == ()


def test_what_is_counted_comes_from_the_template_and_the_settings():
    template = "A:\n  Type: AWS::CloudWatch::Alarm\nB:\n  Type: AWS::CloudWatch::Alarm\n"
    found = {cost.what for cost in costs(Settings(), template, "eu-west-1").costs}
    assert {"2 alarms", "16 GB of gp3 disk", "t2.micro, 730 hours"} <= found
