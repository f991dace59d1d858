"""Plotly figures and web pages, as plain dictionaries and text."""
