"""The Overview as one writes it after the usual guide: st.cache_data, plotly.express, one script; the bench's peer."""

import os

import pandas as pd
import plotly.express as px
import streamlit as st

STORE = os.environ["NAIVE_STORE"]
LENGTHS = {"7d": 7, "28d": 28, "90d": 90, "All": 100_000}

st.set_page_config(page_title="Shop", layout="wide")


@st.cache_data
def load(name: str) -> pd.DataFrame:
    """One file of the snapshot."""
    return pd.read_parquet(f"{STORE}/{name}.parquet")


daily, rfm = load("daily_kpis"), load("rfm")
daily["date"] = pd.to_datetime(daily["date"])
for column in ("net_sales", "gross_sales", "returns"):
    daily[column] = daily[column] / 1000
asked = st.query_params.get("period", "28d")
period = st.selectbox("Period", list(LENGTHS), index=list(LENGTHS).index(asked))
last = daily["date"].max()
shown = daily[daily["date"] > last - pd.Timedelta(days=LENGTHS[period])]
before = daily[daily["date"] <= last - pd.Timedelta(days=LENGTHS[period])].tail(LENGTHS[period])

for column, (name, value, earlier) in zip(
    st.columns(6),
    [
        ("Net sales", shown["net_sales"].sum(), before["net_sales"].sum()),
        ("Gross sales", shown["gross_sales"].sum(), before["gross_sales"].sum()),
        ("Orders", shown["orders"].sum(), before["orders"].sum()),
        ("Customers", shown["customers"].sum(), before["customers"].sum()),
        ("Returns", shown["returns"].sum(), before["returns"].sum()),
        ("Cancellations", shown["cancellations"].sum(), before["cancellations"].sum()),
    ],
    strict=True,
):
    column.metric(name, f"{value:,.0f}", f"{value - earlier:,.0f}", chart_data=shown["net_sales"].tolist())

st.plotly_chart(px.area(shown, x="date", y="net_sales"))
left, right = st.columns(2)
left.plotly_chart(px.line(shown, x="date", y="orders"))
right.plotly_chart(px.bar(shown, x="date", y=["new_customers", "returning_customers"]))
left.plotly_chart(px.bar(shown, x="date", y="returns"))
weekdays = shown.groupby(shown["date"].dt.day_name())["net_sales"].mean().reset_index()
right.plotly_chart(px.bar(weekdays, x="date", y="net_sales"))
months = daily.groupby(daily["date"].dt.to_period("M").astype(str))["net_sales"].sum().reset_index()
st.plotly_chart(px.bar(months, x="date", y="net_sales"))
calendar = daily.tail(371).assign(
    week=lambda frame: frame["date"].dt.to_period("W").dt.start_time, day=lambda frame: frame["date"].dt.dayofweek
)
st.plotly_chart(px.density_heatmap(calendar, x="week", y="day", z="net_sales"))
st.dataframe(shown.sort_values("net_sales").head(10))
st.download_button("CSV", shown.to_csv(index=False), "daily.csv")
