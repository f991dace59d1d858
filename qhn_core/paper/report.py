"""The report: one HTML file with all tables and figures, which opens without a network."""

import pandas as pd

from qhn_core.figures.html import Body
from qhn_core.paper import figures, findings
from qhn_core.paper.beyond import beyond_sentence, parts_run
from qhn_core.paper.conventions import GRADIENTS, LIKELIHOODS, Conventions
from qhn_core.paper.cost import Cost
from qhn_core.paper.published import TABLES, published
from qhn_core.paper.results import PaperResults
from qhn_core.paper.tables import contrasts, orderings, readings, regularizer_effect, table


def plus_minus(mean: float, std: float) -> str:
    """Write a mean with its standard deviation, as the paper prints them; "" for NaN.

    >>> plus_minus(0.3149, 0.1231), plus_minus(0.067, float("nan"))
    ('0.315 ± 0.123', '0.067')
    """
    if pd.isna(mean):
        return ""
    return f"{mean:.3f}" + ("" if pd.isna(std) else f" ± {std:.3f}")


def table_lines(results: PaperResults, conventions: Conventions, score: str) -> list[list[str]]:
    """Write Table II or III as text: dataset, method, ours, published, difference in standard errors."""
    return [
        [
            str(dataset),
            str(method),
            plus_minus(row.ours_mean, row.ours_std),
            plus_minus(row.published_mean, row.published_std),
            "" if pd.isna(row.standard_errors) else f"{row.standard_errors:+.1f}",
        ]
        for (dataset, method), row in table(results, conventions, score).iterrows()
    ]


TABLE_HEADS = ["dataset", "method", "ours", "published", "difference, standard errors"]


def report_html(results: PaperResults) -> str:
    """Make the whole report, about 5 MB, most of it Plotly itself."""
    body = Body()
    _opening(body, results)
    _tables(body, results)
    _conventions(body, results)
    _same_step(body, results)
    _paper_figures(body, results)
    _beyond(body, results)
    _cost(body, results)
    return body.page("Section IV, run again")


def _opening(body: Body, results: PaperResults) -> None:
    provenance = results.provenance
    base = provenance.paper[0]
    body.heading("Section IV, run again", 1)
    body.text(
        f"{published().source}. {base.n_seeds} initialisations, {base.epochs} epochs, "
        f"N_qc = {base.shots}, L = {base.n_layers}. Seed i starts from the same angles in every run, so "
        "methods are compared seed by seed. Published numbers are marked as such. The command below "
        "computed all others."
    )
    body.code(provenance.command)
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    body.text(f"{provenance.made:%Y-%m-%d %H:%M} UTC; {versions}", "note")
    body.heading("What was found")
    body.bullets(findings.ordering_sentences(results))
    body.text(
        "The log-likelihood may be summed over the training set or averaged. Both have their maximum at "
        "the same place. But with η = 1, a step by the sum is longer by a factor of the number of training "
        "points. The paper does not say which of the two it used."
    )
    body.bullets(findings.scale_sentences(results))
    body.text("With the same scale for all methods, only the regulariser differs:")
    body.bullets(findings.regularizer_sentences(results))
    body.text(
        "Algorithm 1 as printed evaluates the whole objective at angles shifted by ±π/2. That is exact for "
        "the expected log-likelihood, which is linear in q. With one layer, the two shifts of an RY give "
        "distributions of the same entropy, and of the same MMD² to the uniform prior. So the regulariser "
        "moves the angles by shot noise only. It still has a part in the choice of θ* and in the decay of "
        "η. For 5 random circuits at λ = 1000, Cirq's simulator gives a largest component of its gradient "
        f"of {findings.regularizer_gradient():.1e} nats per radian, over all shifts. This command shows it:"
    )
    body.code(findings.ZERO_GRADIENT_COMMAND)


def _tables(body: Body, results: PaperResults) -> None:
    for name, conventions in readings(results).items():
        body.heading(f"Tables II and III: {name}")
        body.text(f"{conventions.in_words()}; mean ± standard deviation over initialisations", "note")
        for score, number in TABLES.items():
            body.heading(f"Table {number}, {figures.SCORE_TITLES[score]}", 3)
            body.table(TABLE_HEADS, table_lines(results, conventions, score))


def _conventions(body: Body, results: PaperResults) -> None:
    body.heading("Every convention")
    body.text(
        "clear: methods that the published Table II puts clearly apart from MLE; reproduced: how many of "
        "them are apart in the same direction here; reversed: how many in the other, by 95 % intervals of "
        "differences paired by seed; rms: root mean square of ours minus published over the table, nats.",
        "note",
    )
    rows = orderings(results)
    heads = ["gradient", "likelihood", "likelihood of MLE", "network"]
    heads += ["clear", "reproduced", "reversed", "rms"]
    body.table(heads, [[*row[:-1], f"{row[-1]:.3f}"] for row in rows.itertuples(index=False)])
    for score, number in TABLES.items():
        body.heading(f"Differences from MLE, Table {number}", 3)
        drawn = {n: figures.contrast_figure(results, c, score) for n, c in readings(results).items()}
        body.plots(drawn, "tall")
    for name, conventions in readings(results).items():
        body.heading(f"Paired by seed: {name}", 3)
        _contrast_table(body, contrasts(results, conventions))


def _contrast_table(body: Body, found: pd.DataFrame) -> None:
    heads = [
        "dataset",
        "method",
        "minus MLE, test BCE [95 %]",
        "effect d",
        "share lower",
        "p, signed ranks",
    ]
    heads += ["p, t test, Holm", "published"]
    rows = [
        [
            *key,
            f"{r.difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]",
            f"{r.effect:+.2f}",
            f"{r.share_lower:.0%}",
            f"{r.p_wilcoxon:.2g}",
            f"{r.p_holm:.2g}",
            "" if pd.isna(r.published) else f"{r.published:+.3f}",
        ]
        for key, r in found.iterrows()
    ]
    body.table(heads, rows)


def _same_step(body: Body, results: PaperResults) -> None:
    body.heading("The contribution of the regulariser alone")
    body.text("Here MLE has the same likelihood as the other methods, and so the same step size.", "note")
    for gradient in GRADIENTS:
        for likelihood in LIKELIHOODS:
            for network in ("last epoch", "most probable"):
                found = regularizer_effect(results, gradient, likelihood, network)
                if len(found):
                    body.heading(f"{gradient}, likelihood: {likelihood}, network: {network}", 3)
                    _contrast_table(body, found)


def _paper_figures(body: Body, results: PaperResults) -> None:
    said, printed = published().figures, Conventions()
    body.heading("Figure 2")
    body.text(f"Published: {said['2']}", "note")
    body.plots({d: figures.figure_2(results, d) for d in results.datasets})
    body.heading("Figure 3")
    body.text(f"Published: {said['3']}", "note")
    dataset = results.datasets[0]
    for name, conventions in readings(results).items():
        drawn = {
            f"{method}, {name}": figures.figure_3(results, conventions, method, dataset)
            for method in ("ELBO", "SELBO λ=1")
            if results.find(dataset, method, conventions) is not None
        }
        body.plots(drawn)
    for number, draw in (("4", figures.figure_4), ("5", figures.figure_5)):
        body.heading(f"Figure {number}")
        body.text(f"Published: {said[number]}", "note")
        for name, conventions in readings(results).items():
            body.plots({f"{d}, {name}": draw(results, conventions, d) for d in results.datasets})
    body.heading("Figures 4 and 5 in numbers", 3)
    body.bullets(findings.figure_sentences(results))
    body.text(
        "Per training point, nats: the objective and its likelihood at the last epoch, mean over seeds; "
        "the gradient magnitude in the last quarter of the training, its mean and its spread over seeds.",
        "note",
    )
    for name, conventions in {
        **readings(results),
        "all averaged": Conventions(printed.gradient, "mean", "mean"),
    }.items():
        rows = findings.curve_table(results, conventions)
        body.text(name)
        body.table(
            ["dataset", "method", *map(str, rows.columns)],
            [[*key, *(f"{v:.4f}" for v in row)] for key, row in rows.iterrows()],
        )
    _landscape(body, results)


def _landscape(body: Body, results: PaperResults) -> None:
    slice_ = results.provenance.slice
    body.heading("Figure 6")
    body.text(f"Published: {published().figures['6']}", "note")
    body.text(
        f"One plane for all three: {slice_.landscape_config.plane} directions through θ* of seed "
        f"{slice_.seed}, {slice_.config.in_words()}; exact, λ = {slice_.config.regularization:g}."
    )
    body.plots({name.upper(): figures.figure_6(results, name) for name in slice_.roughness})
    measures = list(next(iter(slice_.roughness.values())))
    body.text("Roughness of each surface, which is divided by its range first:")
    rows = [[m, *(f"{slice_.roughness[name][m]:.4g}" for name in slice_.roughness)] for m in measures]
    body.table(["measure", *(name.upper() for name in slice_.roughness)], rows)


def _beyond(body: Body, results: PaperResults) -> None:
    if not results.provenance.beyond:
        return
    body.heading("Beyond the paper")
    body.text("Summed likelihood; mean ± standard deviation over seeds; network: last epoch.", "note")
    for part in parts_run(results):
        body.heading(part.capitalize(), 3)
        body.text(beyond_sentence(results, part, "last epoch"))
        body.plots({f"{part}, {d}": figures.beyond_figure(results, part, d) for d in results.datasets})


def cost_lines(cost: Cost, runs: int) -> list[list[str]]:
    """Write the cost beside the published cost: quantity, ours, published."""
    paid = published().cost
    lines = [
        ["time", f"{cost.wall_seconds:,.0f} s for {runs} runs", f"{paid['minutes']} min for {paid['of']}"],
        ["machine", cost.machine, paid["device"]],
    ]
    if cost.cpu_seconds is not None:
        lines.append(["CPU time", f"{cost.cpu_seconds:,.0f} s", ""])
    if cost.peak_memory_mb is not None:
        lines.append(
            [
                "peak memory",
                f"{cost.peak_memory_mb:,.0f} MB",
                f"{paid['peak_gpu_memory_gb']} GB, of the GPU",
            ]
        )
    if cost.energy_joules is not None:
        energy = f"{cost.energy_joules / 1000:.1f} kJ ({cost.energy_source})"
        lines.append(["energy", energy, f"{paid['energy_kj']} kJ"])
    return lines


def _cost(body: Body, results: PaperResults) -> None:
    provenance = results.provenance
    body.heading("Cost")
    body.text(
        f"Cost of the whole command. It computed {provenance.epochs_computed:,} of "
        f"{provenance.epochs_total:,} epochs; the store had the others from an earlier call. The published "
        "cost is from Section IV."
    )
    lines = cost_lines(provenance.cost, len(results.configs))
    body.table(["", "ours", "published"], lines)
