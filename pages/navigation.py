"""The list of pages, at the top of each."""

import streamlit as st

from qhn_core.assets import ASSETS

st.set_page_config(page_title="Quantum HyperNetworks", layout="wide", initial_sidebar_state="auto")
st.html(ASSETS / "shell.css")

page = st.navigation(
    [
        st.Page("train.py", title="Train", default=True),
        st.Page("landscape.py", title="Landscape"),
        st.Page("paper.py", title="Paper"),
        st.Page("runs.py", title="Runs"),
    ],
    position="top",
)
page.run()
