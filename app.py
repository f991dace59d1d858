"""The dashboard: `streamlit run app.py`."""

import streamlit as st

from pages.components.routes import lifespan, routes

app = st.App("pages/navigation.py", routes=routes, lifespan=lifespan)
