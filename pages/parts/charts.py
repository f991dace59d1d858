"""Figures and tables of numbers, drawn in the same way on every page."""

import pandas as pd
import streamlit as st

from qhn_core.figures.style import Figure

CHART_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "quantum-hypernetwork"},
}
"""The same few buttons as on the live views."""


def chart(figure: Figure, key: str) -> None:
    """Draw a figure over the full width."""
    st.plotly_chart(figure, width="stretch", key=key, config=CHART_CONFIG)


def numbers(table: pd.DataFrame) -> None:
    """Draw a table whose numbers have four significant digits."""
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4g")
            for name in table.select_dtypes("number").columns
        },
    )
