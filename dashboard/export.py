"""What is shown, as a file: UTF-8 CSV with amounts in decimal units, and no text that a spreadsheet would compute."""

from collections.abc import Collection

import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

from dashboard import format as text
from etl.contract import FORMULA_STARTS


def csv(frame: pd.DataFrame, money: Collection[str] = ()) -> bytes:
    """A frame as CSV: `money` columns (mills) become exact decimal units, dates ISO, missing values empty."""
    shown = frame.assign(
        **{name: [_units(value) for value in frame[name]] for name in money if name in frame},
        **{name: frame[name].map(_harmless) for name in _texts(frame)},
    )
    return shown.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d").encode("utf-8")


def _texts(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame if is_string_dtype(frame[name]) or is_object_dtype(frame[name])]


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _units(mills: float) -> str:
    return "" if pd.isna(mills) else text.units(round(mills))
