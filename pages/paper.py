"""Paper: the tables and figures of Section IV, ours beside published, under every convention."""

import pandas as pd
import streamlit as st

from pages.parts.charts import chart, numbers
from pages.parts.paper_compute import chosen_results, show_progress
from pages.parts.paper_extensions import beyond_paper
from pages.parts.session import follow, start
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.state import set_controls_from
from qhn_core.config import RunConfig
from qhn_core.figures.style import Figure
from qhn_core.paper import (
    METHODS,
    Conventions,
    PaperResults,
    contrast_figure,
    contrasts,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    load_results,
    orderings,
    published,
    table,
)
from qhn_core.paper.background import results_folder
from qhn_core.paper.conventions import GRADIENTS, LIKELIHOODS, NETWORKS
from qhn_core.paper.findings import ordering_sentences, regularizer_sentences, scale_sentences
from qhn_core.paper.report import cost_lines

SCORES = {"II": ("test_bce", "test BCE"), "III": ("test_accuracy", "test accuracy")}
FIGURES = ("2", "3", "4", "5", "6")


@st.cache_resource(max_entries=4, show_spinner=False)
def results_of(n_seeds: int | None, when: float) -> PaperResults:
    """Load the results with this many seeds that were computed here; None: those of this repository."""
    return load_results() if n_seeds is None else load_results(results_folder(n_seeds))


@st.cache_data(show_spinner=False)
def findings(_results: PaperResults, made: str) -> tuple[list[str], list[str], list[str], pd.DataFrame]:
    """Return the findings in sentences, and a table of every convention; takes some seconds."""
    return (
        ordering_sentences(_results),
        scale_sentences(_results),
        regularizer_sentences(_results),
        orderings(_results),
    )


def switches() -> tuple[Conventions, str]:
    """Draw a switch for each convention that the paper leaves open, and one for the table."""

    def switch(label: str, options: tuple[str, ...], key: str, first: str, text: str) -> str:
        return st.segmented_control(
            label, options, default=first, required=True, key=key, bind="query-params", help=text
        )

    with st.container(horizontal=True, vertical_alignment="bottom"):
        gradient = switch(
            "Gradient", GRADIENTS, "by", "algorithm-1", "Algorithm 1 as printed, or the true gradient."
        )
        likelihood = switch(
            "Log-likelihood", LIKELIHOODS, "scale", "sum", "Of ELBO and SELBO: the scale is a step size."
        )
        of_mle = switch(
            "of MLE", LIKELIHOODS, "mle_scale", "mean", "The paper does not say whether it is the same."
        )
        network = switch(
            "Network",
            NETWORKS,
            "network",
            "last epoch",
            "How a trained circuit predicts: samples of the last epoch on average, q at θ* on average, the "
            "mixture of all networks, or the most probable one.",
        )
        number = switch("Table", tuple(SCORES), "table", "II", "II is test BCE, III test accuracy.")
    return Conventions(gradient, likelihood, of_mle, network), number


def with_spread(mean: float, std: float) -> str:
    """Write a mean and a standard deviation, or a dash where there is none."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.3f}" if pd.isna(std) else f"{mean:.3f} ± {std:.3f}"


def tables(results: PaperResults, conventions: Conventions, number: str) -> None:
    """Show our numbers beside the published ones, and the differences from MLE paired by seed."""
    score, title = SCORES[number]
    rows = table(results, conventions, score).reset_index()
    sides = st.container(horizontal=True, gap="medium")
    with sides.container(width=660):
        st.markdown(f"**Table {number}, {title}**: mean ± standard deviation over initialisations")
        st.dataframe(
            pd.DataFrame(
                {
                    "dataset": rows.dataset,
                    "method": rows.method,
                    "ours": [with_spread(r.ours_mean, r.ours_std) for r in rows.itertuples()],
                    "published": [
                        with_spread(r.published_mean, r.published_std) for r in rows.itertuples()
                    ],
                    "apart": rows.standard_errors,
                }
            ),
            hide_index=True,
            height="content",
            placeholder="–",
            column_config={
                "apart": st.column_config.NumberColumn(
                    format="%+.1f", help="Ours minus published, in standard errors of that difference."
                )
            },
        )
    with sides.container(width=660):
        st.markdown("**Difference from MLE**, paired by seed, with 95 % intervals; published beside it")
        figure = contrast_figure(results, conventions, score)
        figure["layout"]["height"] = 640
        chart(figure, "contrast")


def figure_of(
    number: str, results: PaperResults, conventions: Conventions, dataset: str, method: str
) -> Figure:
    """Redraw one of the paper's figures from our results."""
    if number == "2":
        return figure_2(results, dataset)
    if number == "3":
        return figure_3(results, conventions, "ELBO" if method == "MLE" else method, dataset)
    return (figure_4 if number == "4" else figure_5)(results, conventions, dataset)


def open_run(config: RunConfig, page: str) -> None:
    """Show a run of the study on another page; train it first where the store does not have it."""
    if start(config):
        set_controls_from(config)
        visitor().leave_for = page


def figures(results: PaperResults, conventions: Conventions) -> None:
    """Show one of the Figures 2 to 6, and buttons that open its run or its slice."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.segmented_control(
            "Figure", FIGURES, default="4", required=True, key="figure", bind="query-params"
        )
        dataset = st.segmented_control(
            "Dataset", results.datasets, default="gaussian", required=True, key="of", disabled=number == "6"
        )
        method = st.selectbox("Method", list(METHODS), 3, key="method", width=180)
        run = results.find(dataset, method, conventions)
        st.button(
            "Open this run",
            disabled=run is None,
            on_click=lambda: open_run(results.configs[run], "train.py"),
            help="On the Train page, with all its seeds.",
        )
        st.button(
            "Open this slice",
            on_click=lambda: open_run(results.provenance.slice.config, "landscape.py"),
            help="The plane of Figure 6 on the Landscape page.",
        )
    st.caption(f"Published: {published().figures[number]}")
    if number == "6":
        drawn = {name: figure_6(results, name) for name in ("mle", "elbo", "selbo")}
        for column, (name, figure) in zip(st.columns(3), drawn.items(), strict=True):
            with column:
                st.markdown(f"**{name.upper()}**")
                chart(figure, f"figure_6_{name}")
        numbers(pd.DataFrame(results.provenance.slice.roughness).rename_axis("roughness").reset_index())
    else:
        figure = figure_of(number, results, conventions, dataset, method)
        figure["layout"]["height"] = 380
        chart(figure, f"figure_{number}")


def what_was_found(results: PaperResults, conventions: Conventions, score: str) -> None:
    """Show the findings in sentences, and the numbers behind them."""
    orders, scale, regularizer, every = findings(results, str(results.provenance.made))
    with st.expander("Under which convention does the published ordering appear?", expanded=True):
        st.markdown("\n".join(f"- {line}" for line in [*orders, *scale]))
        st.dataframe(
            every, hide_index=True, column_config={"rms": st.column_config.NumberColumn(format="%.3f")}
        )
    with st.expander("What the regulariser itself contributes, at the same step size"):
        st.markdown("\n".join(f"- {line}" for line in regularizer))
    with st.expander("Paired by seed, in numbers"):
        numbers(contrasts(results, conventions, score).reset_index())


def how_made(results: PaperResults) -> None:
    """Show the command that made the results, its date and its cost."""
    about = results.provenance
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    st.markdown(
        "**Made by this command**, which computes it all again; if stopped, it continues at the next call"
    )
    st.code(about.command, language="bash")
    st.caption(f"{about.made:%Y-%m-%d %H:%M} UTC; {plain(versions)}")
    lines = cost_lines(about.cost, len(results.configs))
    st.dataframe(pd.DataFrame(lines, columns=["cost", "ours", "published"]), hide_index=True)


follow()
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.caption(
        "Section IV of “Variational Inference for Quantum HyperNetworks”, under every convention that the "
        "paper leaves open. Published numbers are marked as such; all others come from the command at the "
        "end."
    )
    chosen = chosen_results()
show_progress()
try:
    results = results_of(*chosen)
except ValueError as error:
    st.error(plain(error))
    st.stop()
conventions, number = switches()
tables(results, conventions, number)
figures(results, conventions)
what_was_found(results, conventions, SCORES[number][0])
beyond_paper(results, conventions.network, SCORES[number][0])
how_made(results)
