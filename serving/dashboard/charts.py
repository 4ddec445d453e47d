"""Charts. Colours are told apart by every kind of eye: Okabe and Ito's set for classes, cividis for amounts."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#555555"
"""Of Okabe and Ito, https://jfly.uni-koeln.de/color/"""
NOTHING = "#d9d9d9"
"""A zone without a value."""
TIME = "time in New York"


def time_axis(column: str) -> alt.X:
    """Hours; `wall_clock` made them readings of a clock in New York."""
    return alt.X(f"{column}:T", title=TIME, axis=alt.Axis(labelOverlap=True, format="%a %-d, %H:%M", tickCount=6))


def wall_clock(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Times as a clock in New York shows them, without a zone, so that every browser draws the same."""
    local = {name: frame[name].dt.tz_convert("America/New_York").dt.tz_localize(None) for name in columns}
    return frame.assign(**local)


def line(frame: pd.DataFrame, x: str, y: str, title: str, value_format: str = ",.0f") -> alt.Chart:
    """A value over time, in New York's hours."""
    value = alt.Y(f"{y}:Q", title=title, axis=alt.Axis(format=value_format))
    tooltip = [alt.Tooltip(f"{x}:T", title=TIME, format="%a %-d %b %H:%M"), alt.Tooltip(f"{y}:Q", title=title)]
    chart = alt.Chart(wall_clock(frame, x)).encode(x=time_axis(x), y=value, tooltip=tooltip)
    return chart.mark_area(color=BLUE, line={"color": BLUE}, opacity=0.25).properties(height=280)


def bars(frame: pd.DataFrame, category: str, value: str, title: str, colour: str = BLUE) -> alt.Chart:
    """Lying bars, the longest on top."""
    whole = 1 if pd.api.types.is_integer_dtype(frame[value]) else 0
    return (
        alt.Chart(frame)
        .mark_bar(color=colour)
        .encode(
            x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(tickCount=5, tickMinStep=whole)),
            y=alt.Y(f"{category}:N", title=None, sort="-x", axis=alt.Axis(labelLimit=170)),
            tooltip=[category, alt.Tooltip(f"{value}:Q", title=title, format=",.2f")],
        )
        .properties(height={"step": 22})
    )


def zone_map(features: list[dict[str, Any]], title: str, value_format: str = ",.0f") -> alt.Chart:
    """Zones by value, with no map below them: nothing is fetched."""
    largest, middle = _largest_and_middle(features)
    skewed = largest > 50 * middle
    scale = alt.Scale(scheme="cividis", type="symlog" if skewed else "linear")
    marks = [0, *(10**n for n in range(1, 12) if 10**n <= largest)] if skewed else alt.Undefined
    legend = alt.Legend(title=title, orient="bottom", gradientLength=260, format=value_format, values=marks)
    known = alt.Color("value:Q", scale=scale, legend=legend)
    tooltip = [
        alt.Tooltip("zone:N", title="zone"),
        alt.Tooltip("borough:N", title="borough"),
        alt.Tooltip("value:Q", title=title, format=value_format),
    ]
    return (
        alt.Chart(alt.Data(values=features))
        .mark_geoshape(stroke="white", strokeWidth=0.4, invalid="show")
        .encode(color=known, tooltip=tooltip)
        .project(type="identity", reflectY=True)
        .properties(height=480)
        .configure_scale(invalid={"color": {"value": NOTHING}})
    )


def forecast(frame: pd.DataFrame, title: str) -> alt.LayerChart | alt.FacetChart:
    """What is foreseen, with its 90 % interval."""
    base = alt.Chart(wall_clock(frame, "prediction_hour")).encode(x=time_axis("prediction_hour"))
    tooltip = [
        alt.Tooltip("prediction_hour:T", title=TIME, format="%a %-d %b %H:%M"),
        alt.Tooltip("predicted_demand:Q", title=title, format=".2f"),
        alt.Tooltip("lower:Q", title="interval from", format=".0f"),
        alt.Tooltip("upper:Q", title="interval to", format=".0f"),
    ]
    band = base.mark_area(color=ORANGE, opacity=0.2, interpolate="step-after").encode(
        y=alt.Y("lower:Q", title=title), y2="upper:Q"
    )
    mean = base.mark_line(color=ORANGE, point=alt.OverlayMarkDef(color=ORANGE)).encode(
        y="predicted_demand:Q", tooltip=tooltip
    )
    return alt.layer(band, mean).properties(height=300)


def compared(frame: pd.DataFrame, x: str, columns: dict[str, str], title: str) -> alt.Chart:
    """Several values over time; `columns` gives each its name in the legend."""
    long = wall_clock(frame, x).melt(id_vars=[x], value_vars=list(columns), var_name="what", value_name="value")
    long["what"] = long["what"].map(columns)
    colours = alt.Scale(domain=list(columns.values()), range=[ORANGE, BLUE, GREEN, BLACK][: len(columns)])
    return (
        alt.Chart(long)
        .mark_line(point=True)
        .encode(
            x=time_axis(x),
            y=alt.Y("value:Q", title=title),
            color=alt.Color("what:N", scale=colours, legend=alt.Legend(title=None, orient="top", symbolType="stroke")),
            strokeDash=alt.StrokeDash("what:N", legend=None),
            tooltip=["what", alt.Tooltip("value:Q", format=",.2f")],
        )
        .properties(height=300)
    )


def _largest_and_middle(features: list[dict[str, Any]]) -> tuple[float, float]:
    """Of the values: where they lie far apart, a linear scale would show one zone alone."""
    values = sorted(each["value"] for each in features if each["value"])
    return (float(values[-1]), float(values[len(values) // 2])) if values else (1.0, 1.0)
