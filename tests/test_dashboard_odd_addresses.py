"""Whatever stands behind the `?` of an address: each page is whole, and each of its choices is one that it offers.

The names are found on the pages themselves, so that a new choice is asked too. More of it by hand:
ODD_ADDRESSES=20000 SEED=7 pytest tests/test_dashboard_odd_addresses.py
"""

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from urllib.parse import quote, quote_plus

import pytest

from tests.conftest import make_snapshot
from tests.open_page import OpenPage

ADDRESSES = int(os.environ.get("ODD_ADDRESSES", "500"))
SEED = int(os.environ.get("SEED", "8"))
AT_ONCE = 4
SERVING = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
IN_A_LINK = re.compile(rb"[?&]([a-z][a-z_]{0,20})=([A-Za-z0-9 ._%-]{0,40})")
FIRST, DAYS = date(2023, 1, 2), 400
STRANGE = (
    *("", " ", "\x00", "\n", "\t7d", "null", "None", "undefined", "NaN", "nan", "inf", "-inf", "-0", "0", "-1", "1"),
    *("1e309", "1.0", "0x10", "1_000", "999999999999999999999999", "true", "[]", "{}", "[object Object]", "'", '"'),
    *("' OR 1=1 --", "<script>alert(1)</script>", "../../etc/passwd", "${7*7}", "{{7*7}}", "%", "%s", "%00", "=cmd()"),
    *(
        "\N{PILE OF POO}" * 300,
        "\N{RIGHT-TO-LEFT OVERRIDE}d7",
        "\N{FULLWIDTH DIGIT SEVEN}d",
        "I\N{COMBINING DOT ABOVE}",
    ),
    *("\ufeff7d", "7d\u200b", "Stra\N{LATIN SMALL LETTER SHARP S}e", "A" * 5_000, ",", ",,,", "a,b", ":red[x]", "](x)"),
    *("0001-01-01", "9999-12-31", "2023-02-29", "2023-02-30", "2023-13-01", "10000-01-01", "-001-01-01", "today"),
    *("2023-03-01T00:00:00Z", "01/03/2023", "20230301", "2023-W09", "2023-3-1", "1677628800"),
)


@dataclass(slots=True)
class Known:
    """What a page is asked for: values that it offers by name, and how it looks by default."""

    offered: dict[str, set[str]] = field(default_factory=dict)
    title: str = ""

    def learn(self, drawn):
        """Take in what is drawn. A widget without options, like a date, is known by its name."""
        for widget in drawn.widgets():
            self.offered.setdefault(widget.key, set()).update(widget.options)
        for part in drawn.page().texts:
            for name, value in IN_A_LINK.findall(part):
                self.offered.setdefault(name.decode(), set()).add(value.decode())


def sales():
    for day in range(DAYS):
        at = FIRST + timedelta(days=day)
        sku = day * 5 % 23
        yield f"5{day:04d}", f"P{sku}", f"PRODUCT {sku}", 3, f"{at} 10:00:00", f"{2 + sku}.50", 100 + day * 7 % 37, "UK"
        if not day % 10:
            yield f"C{day:04d}", f"P{sku}", f"PRODUCT {sku}", -1, f"{at} 11:00:00", "3.01", 100, "UK"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shop")
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    source, store, log = directory / "sales.csv", directory / "store", directory / "log"
    source.write_text("\n".join([header, *(",".join(map(str, line)) for line in sales())]))
    make_snapshot([source], store)
    command = [sys.executable, "-m", "dashboard.serve", "--store", str(store), "--port", "0"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        while not (found := SERVING.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found.group(1)
        process.terminate()
        process.wait(10)
    assert "Traceback" not in log.read_text()


async def explored(url):
    """Each page by its name in the address, and what may stand in the address of it."""
    async with OpenPage(url) as visitor:
        await visitor.open()
        pages = [entry.name if place else "" for place, entry in enumerate(visitor.drawn.entries())]
    return {page: await _explored(url, page) for page in pages}


async def _explored(url, page):
    known = Known()
    async with OpenPage(url) as visitor:
        await visitor.open(page)
        known.title = title(visitor)
        known.learn(visitor.drawn)
        for key, options in list(known.offered.items()):
            for option in sorted(options)[:12]:  # a choice may show another one
                async with OpenPage(url) as another:
                    await another.open(page, f"{key}={quote(option)}")
                    known.learn(another.drawn)
    return known


def title(visitor):
    return next(heading.body for heading in visitor.drawn.elements("heading") if heading.tag == "h1")


def odd_query(dice, known):
    """A query of one to four of the names, of which each has one to three values."""
    names = dice.sample(sorted(known.offered), min(len(known.offered), dice.randint(1, 4))) or ["period"]
    pairs = [
        (name if dice.random() < 0.95 else odd_case(dice, name), odd_value(dice, sorted(known.offered.get(name, ()))))
        for name in names
        for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 3)))
    ]
    written = dice.choice((quote, quote, quote_plus, badly))
    return "&".join(f"{written(name)}={written(value)}" for name, value in pairs)


def odd_value(dice, offered):
    """One that is offered, one that nearly is, a day, or something strange."""
    right = dice.choice(offered) if offered else f"{FIRST + timedelta(days=dice.randint(-50, DAYS + 50))}"
    return dice.choice(
        (
            lambda: right,
            lambda: odd_case(dice, right),
            lambda: right[: dice.randint(0, 9)] + dice.choice(STRANGE)[:9] + right[dice.randint(0, 9) :],
            lambda: f"{FIRST + timedelta(days=dice.randint(-50, DAYS + 50))}",
            lambda: f"{dice.randint(-(10**6), 10**6)}",
            lambda: dice.choice(STRANGE),
            lambda: "".join(chr(dice.choice((dice.randint(0, 127), dice.randint(128, 0xD7FF)))) for _ in range(12)),
        )
    )()


def odd_case(dice, text):
    return "".join(dice.choice((letter.upper(), letter.lower())) for letter in text)


def badly(text):
    """Bytes of Latin-1, and some percent signs that lead nowhere."""
    return quote(text.encode("latin-1", "replace")).replace("%20", "%").replace("%2C", "%zz")


async def look(url, known, page, query):
    """What is wrong with the page at this address."""
    async with OpenPage(url) as visitor:
        await visitor.open(page, query)
        wrong = list(visitor.drawn.wrong)
        if title(visitor) != known.title:
            wrong.append(f"another title: {title(visitor)!r}")
        if not visitor.drawn.elements("metric") and not visitor.drawn.elements("alert"):  # no such product: a sentence
            wrong.append("no cards")
        for widget in visitor.drawn.widgets():
            wrong += [f"{widget.key} shows {value!r}" for value in widget.shown if value not in widget.options]
        return [f"/{page}?{query}: {each}" for each in wrong]


def test_any_address_gives_a_whole_page_with_choices_that_it_offers(url):
    async def every():
        pages = await explored(url)
        assert {"period", "compare", "days"} <= set(pages[""].offered)
        dice = random.Random(SEED)
        turns = [page for page in pages for _ in range(1 + ADDRESSES // len(pages))]
        # The names of the first page come along when somebody goes on to another one.
        asked = [(page, odd_query(dice, pages[dice.choice((page, page, ""))])) for page in turns]
        wrong, waiting = [], iter(asked)

        async def work():
            for page, query in waiting:
                wrong.extend(await look(url, pages[page], page, query))

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return len(asked), wrong

    count, wrong = asyncio.run(every())
    assert wrong == []
    assert count >= ADDRESSES
