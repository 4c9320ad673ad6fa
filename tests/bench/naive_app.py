"""The Overview as most people write it: cache_data, plotly.express, read_parquet. What `BENCH=dashboard` compares with.

NAIVE_DATA=data/processed streamlit run tests/bench/naive_app.py
"""

import os
from datetime import timedelta
from pathlib import Path

import pandas as pd
import plotly.express as px
import streamlit as st

DATA = Path(os.environ["NAIVE_DATA"])
LENGTHS_DAYS = {"7d": 7, "28d": 28, "90d": 90, "12m": 365}
MONEY = ["gross_sales", "returns", "net_sales"]


@st.cache_data
def load(name):
    frame = pd.read_parquet(DATA / f"{name}.parquet")
    if name == "daily_kpis":
        frame["date"] = pd.to_datetime(frame["date"])
        frame[MONEY] = frame[MONEY] / 1000
    return frame


def card(column, label, now, before, series, fmt="{:,.0f}"):
    delta = f"{now / before - 1:+.1%}" if before else None
    column.metric(label, fmt.format(now), delta, chart_data=series, chart_type="area", border=True)


def shown(title, figure):
    st.subheader(title)
    st.plotly_chart(figure, key=title)


st.set_page_config(page_title="Shop KPIs", layout="wide")
st.title("How is the shop doing?")
daily, products, customers, cohorts = (load(name) for name in ("daily_kpis", "top_products", "rfm", "cohorts"))
last = daily["date"].max()
st.badge(f"Data through {last:%d %b %Y}")
period = st.segmented_control(
    "Period", [*LENGTHS_DAYS, "All"], default="28d", required=True, key="period", bind="query-params"
)
length = timedelta(days=LENGTHS_DAYS.get(period, (last - daily["date"].min()).days + 1))
now = daily[daily["date"] > last - length]
before = daily[(daily["date"] <= last - length) & (daily["date"] > last - 2 * length)]

columns = st.columns(6)
card(columns[0], "Net sales", now["net_sales"].sum(), before["net_sales"].sum(), now["net_sales"])
card(columns[1], "Gross sales", now["gross_sales"].sum(), before["gross_sales"].sum(), now["gross_sales"])
card(columns[2], "Returns", now["returns"].sum(), before["returns"].sum(), now["returns"])
card(columns[3], "Orders", now["orders"].sum(), before["orders"].sum(), now["orders"])
card(
    columns[4],
    "Average order",
    now["gross_sales"].sum() / max(1, now["orders"].sum()),
    before["gross_sales"].sum() / max(1, before["orders"].sum()),
    now["aov"] / 1000,
    "{:,.2f}",
)
active = customers[pd.to_datetime(customers["last_order"]) > last - length]
card(columns[5], "Customers", len(active), 0, now["customers"])

both = pd.concat([now.assign(of="This period"), before.assign(date=before["date"] + length, of="Period before")])
shown("Net sales", px.line(both, x="date", y="net_sales", color="of"))
left, right = st.columns(2)
with left:
    shown("Orders", px.bar(now, x="date", y="orders"))
    shown("Returns", px.bar(now, x="date", y="returns"))
    weekdays = now.groupby(now["date"].dt.day_name(), as_index=False)["net_sales"].mean()
    shown("The average day of the week", px.bar(weekdays, x="date", y="net_sales"))
with right:
    shown("New and returning", px.bar(now, x="date", y=["new_customers", "returning_customers"]))
    by_month = daily.assign(month=daily["date"].dt.month, year=daily["date"].dt.year.astype(str))
    by_month = by_month.groupby(["year", "month"], as_index=False)["net_sales"].sum()
    shown("The months of the year", px.line(by_month, x="month", y="net_sales", color="year"))
    days = now.assign(week=now["date"].dt.strftime("%G-%V"), weekday=now["date"].dt.day_of_week)
    heat = days.pivot_table(index="weekday", columns="week", values="net_sales", aggfunc="sum")
    shown("Calendar", px.imshow(heat))
st.subheader("Best days")
st.dataframe(now.nlargest(10, "net_sales")[["date", "net_sales", "orders"]], hide_index=True)
st.download_button("CSV", now.to_csv(index=False), file_name="daily.csv")
