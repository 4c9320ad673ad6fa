"""What a running server has imported: at its first answer, and when every page was shown."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from tests.open_page import OpenPage

SERVING = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$")
LINES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,A,TEAPOT,2,2024-02-28 10:00:00,3.50,100,UK
2,B,CUP,1,2024-02-29 11:00:00,1.25,101,UK
C3,B,CUP,-1,2024-02-29 12:00:00,1.25,101,UK
"""
# Slow doors, other people's clients, and what only the operator's half needs.
NEVER = {
    *("plotly.express", "plotly.figure_factory", "plotly.matplotlylib", "matplotlib", "PIL.Image", "scipy", "seaborn"),
    *("s3fs", "fsspec", "aiobotocore", "obstore", "pyarrow.dataset", "pyarrow.flight", "polars", "tornado"),
    *("duckdb", "ibis", "fabric", "paramiko", "jinja2.sandbox", "moto", "flask", "hypothesis", "pytest", "playwright"),
    *("IPython", "altair", "pydeck", "bokeh", "vl_convert", "kaleido", "sqlalchemy", "tkinter", "unittest.mock"),
}
# With the store in a directory nothing of AWS is needed either.
OF_S3 = {"boto3", "botocore"}

# The real server, which says what it has imported whenever it is sent a line.
TELLING = """
import json, sys, threading
from dashboard import serve

def tell():
    for _ in sys.stdin:
        print(json.dumps(sorted(sys.modules)), flush=True)

threading.Thread(target=tell, daemon=True).start()
serve.main(["--store", sys.argv[1], "--port", "0"])
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shop")
    source, out = directory / "sales.csv", directory / "snapshot"
    source.write_text(LINES)
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    return out


@contextmanager
def serving(store):
    """Its URL, and a function that asks what is loaded."""
    with subprocess.Popen(
        [sys.executable, "-c", TELLING, str(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"KPI_DASHBOARD__CACHE": ""},
    ) as process:

        def loaded():
            process.stdin.write("?\n")
            process.stdin.flush()
            return set(json.loads(process.stdout.readline()))

        try:
            yield next(found.group(1) for line in process.stderr if (found := SERVING.match(line))), loaded
        finally:
            process.kill()


def of(loaded, names):
    """Those that are loaded, or a part of which is."""
    return sorted(name for name in names if name in loaded or any(each.startswith(f"{name}.") for each in loaded))


def test_when_every_page_was_shown_nothing_is_loaded_that_no_page_needs(shop):
    async def look(url):
        async with OpenPage(url) as visitor:
            await visitor.open()
            pages = [entry.name for entry in visitor.drawn.entries()][1:]
            for page in pages:
                await visitor.open(page)
                assert visitor.drawn.wrong == []
            return pages

    with serving(shop) as (url, loaded):
        pages = asyncio.run(look(url))
        found = loaded()
    assert {"pandas", "pyarrow.parquet", "plotly.graph_objs", *(f"dashboard.pages.{page}" for page in pages)} <= found
    assert of(found, NEVER | OF_S3) == []


def test_the_first_answer_does_not_wait_for_what_pages_need(tmp_path):
    with serving(tmp_path) as (url, loaded):
        for path in ("/_stcore/health", "/"):
            with urllib.request.urlopen(url + path, timeout=10) as answer:
                assert answer.status == 200
        assert of(loaded(), {"pandas", "pyarrow", "numpy", "dashboard.charts", *NEVER}) == []
