"""The parts of the study that the paper does not have: strength, layers, annealing, shots."""

import pandas as pd
import streamlit as st

from pages.parts.charts import chart, numbers
from qhn_core.paper import PaperResults, beyond_contrasts, beyond_figure, beyond_sentence, parts_run

WHAT = {
    "strength": "λ from 0 to 1000, held constant",
    "layers": "L = 1 to 4 layers",
    "annealing": "λ constant, or falling during training: linear, exponential or cyclical",
    "shots": "10 to 10,000 shots of each circuit, and exact expectations",
}


@st.cache_data(max_entries=32, show_spinner="Comparing seed by seed")
def found_in(
    _results: PaperResults, made: str, part: str, network: str, score: str
) -> tuple[str, pd.DataFrame]:
    """Return a part's finding in words and in numbers; `made` tells results apart."""
    return (
        beyond_sentence(_results, part, network, score),
        beyond_contrasts(_results, part, network, score),
    )


def beyond_paper(results: PaperResults, network: str, score: str) -> None:
    """Show one part: the finding, a figure and the numbers; nothing if no part was run."""
    parts = parts_run(results)
    if not parts:
        return
    st.markdown("**Beyond the paper**, with the likelihood summed")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.segmented_control(
            "Varied",
            parts,
            default=parts[0],
            required=True,
            key="part",
            bind="query-params",
            help="; ".join(f"{name}: {WHAT[name]}" for name in parts) + ".",
        )
        dataset = st.segmented_control(
            "Dataset", results.datasets, default=results.datasets[0], required=True, key="beyond_of"
        )
    sentence, table = found_in(results, str(results.provenance.made), part, network, score)
    st.markdown(f"{WHAT[part]}. {sentence}".replace("[", r"\["))
    figure = beyond_figure(results, part, dataset, network, score)
    figure["layout"]["height"] = 380
    chart(figure, "beyond")
    st.caption("Mean ± standard deviation over seeds.")
    with st.expander("Compared seed by seed, in numbers"):
        numbers(table[table.dataset == dataset])
