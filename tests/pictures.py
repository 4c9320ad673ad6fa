"""`make pictures`: docs/*.png, the pages of the dashboard as a browser shows them with the made-up shop."""

import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from etl.sample import write

ROOT: Final = Path(__file__).resolve().parents[1]
CHROMIUM: Final = "/usr/bin/chromium"
SERVING: Final = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
DESK: Final = {"width": 1360, "height": 1000}
PHONE: Final = {"width": 390, "height": 844}
PICTURES: Final = (
    ("overview", "", DESK, "light"),
    ("products", "products", DESK, "light"),
    ("customers", "customers", DESK, "light"),
    ("quality", "quality", DESK, "light"),
    ("operations", "operations", DESK, "light"),
    ("phone", "", PHONE, "dark"),
)
SETTLED_MS: Final = 2_000  # charts are drawn after the page has come


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as scratch:
        store = _snapshot(Path(scratch))
        options = ["--store", str(store), "--port", "0", "--until-stdin-closes"]
        log = Path(scratch, "log")
        with (
            log.open("wb") as out,
            subprocess.Popen(
                [sys.executable, "-m", "dashboard.serve", *options], stdin=subprocess.PIPE, stderr=out, cwd=ROOT
            ) as server,
        ):
            while not (found := SERVING.search(log.read_text())):
                if server.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.1)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                for name, path, size, scheme in PICTURES:
                    _picture(browser, f"{found[1]}/{path}", ROOT / "docs" / f"{name}.png", (size, scheme))
                browser.close()
            server.communicate(timeout=10)


def _snapshot(directory: Path) -> Path:
    sales, store = directory / "sales.csv", directory / "store"
    write(sales, date(2026, 11, 21))
    etl = [sys.executable, "-m", "etl", "--source", str(sales), "--out", str(store)]
    subprocess.run(etl, check=True, cwd=ROOT, capture_output=True)
    return store


def _picture(browser: Browser, url: str, place: Path, look: tuple[dict[str, int], str]) -> None:
    size, scheme = look
    page = browser.new_page(
        viewport={"width": size["width"], "height": size["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=0.75,
    )
    page.goto(url)
    page.get_by_test_id("stMetric").first.wait_for(timeout=30_000)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=place)
    page.close()


if __name__ == "__main__":
    main()
