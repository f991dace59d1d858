"""The dashboard: `streamlit run app.py`."""

import streamlit as st

from pages.server import lifespan, routes

app = st.App("pages/navigation.py", routes=routes, lifespan=lifespan)
