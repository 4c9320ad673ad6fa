"""What a month of the stack will cost: an estimate, from a price list with a date. Pure, but for reading the list."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is paid for: numbers of things, and GB."""

    instance_type: str
    disk_gb: int
    alarms: int
    metrics: int
    dashboards: int = 1
    addresses: int = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of the estimate; `usd` a month is None where the list has no price for it."""

    what: str
    usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate, as of the day on which the prices were read."""

    as_of: date
    region: str
    costs: tuple[Cost, ...]

    @property
    def usd(self) -> float:
        """A month, of all that has a price."""
        return sum(cost.usd for cost in self.costs if cost.usd is not None)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What there is no price for."""
        return tuple(cost.what for cost in self.costs if cost.usd is None)

    @property
    def text(self) -> str:
        """The total, and a line for each cost."""
        return "\n".join([self._first_line(), *(f"  {_amount(cost.usd)}  {cost.what}" for cost in self.costs)])

    def _first_line(self) -> str:
        told = f"USD {self.usd:.2f} a month, an estimate, as of {self.as_of} (no tax, traffic or free allowance)"
        if len(self.unknown) == len(self.costs):
            return f"unknown: the price list, as of {self.as_of}, has nothing for {self.region}"
        return f"{told}; not in it: {', '.join(self.unknown)}" if self.unknown else told


def _amount(usd: float | None) -> str:
    return "unknown" if usd is None else f"{usd:>7.2f}"


def price_list(path: Path = LIST) -> Mapping[str, Any]:
    """The list as it is written."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def estimate(prices: Mapping[str, Any], region: str, amounts: Amounts) -> Estimate:
    """What these amounts cost in a region, as far as the list knows it; each cost to the cent."""
    here, everywhere = prices["regions"].get(region, {}), prices["everywhere"]
    if not here:
        everywhere = {}  # what is the same in each region of the list need not be so in others
    hours, assumed = prices["hours_a_month"], prices["assumed"]
    hourly = here.get("instance_hour", {}).get(amounts.instance_type)
    log = _sum(here.get("log_gb_taken_in"), here.get("log_gb_month"))
    return Estimate(
        prices["as_of"],
        region,
        (
            _cost(f"{amounts.instance_type}, {hours} hours", hours, hourly),
            _cost(f"{amounts.disk_gb} GB of gp3 disk", amounts.disk_gb, here.get("gp3_gb_month")),
            _cost("a public IPv4 address", amounts.addresses * hours, everywhere.get("public_ipv4_hour")),
            _cost(f"{amounts.alarms} alarms", amounts.alarms, everywhere.get("alarm_month")),
            _cost(f"{amounts.metrics} metrics of our own", amounts.metrics, everywhere.get("metric_month")),
            _cost("a CloudWatch dashboard", amounts.dashboards, everywhere.get("dashboard_month")),
            _cost(f"{assumed['log_gb']} GB of logs (assumed)", assumed["log_gb"], log),
            _cost(f"{assumed['s3_gb']} GB in S3 (assumed)", assumed["s3_gb"], here.get("s3_gb_month")),
        ),
    )


def _sum(*prices: float | None) -> float | None:
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def _cost(what: str, amount: float, price: float | None) -> Cost:
    return Cost(what, None if price is None else round(amount * price, 2))
