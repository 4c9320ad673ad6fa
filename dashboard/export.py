"""What is shown, as a file: UTF-8 CSV with amounts in decimal units."""

from collections.abc import Collection

import pandas as pd

from dashboard import format as text


def csv(frame: pd.DataFrame, money: Collection[str] = ()) -> bytes:
    """A frame as CSV: `money` columns (mills) become exact decimal units, dates ISO, missing values empty."""
    shown = frame.assign(**{name: [_units(value) for value in frame[name]] for name in money if name in frame})
    return shown.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d").encode("utf-8")


def _units(mills: float) -> str:
    return "" if pd.isna(mills) else text.units(round(mills))
