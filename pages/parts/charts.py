"""Finished figures and tables of numbers, drawn alike on every page."""

import pandas as pd
import streamlit as st

from qhn_core.figures.style import Figure

CHART_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "quantum-hypernetwork"},
}
"""As of the live views: few buttons, beside the legend and not on it."""


def chart(figure: Figure, key: str) -> None:
    """A finished figure, as wide as there is room."""
    st.plotly_chart(figure, width="stretch", key=key, config=CHART_CONFIG)


def numbers(table: pd.DataFrame) -> None:
    """A table whose numbers have four figures."""
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4g")
            for name in table.select_dtypes("number").columns
        },
    )
