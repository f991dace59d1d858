"""Runs: what was trained here, to open again, compare, name, download and import."""

import streamlit as st

from pages.parts.session import show
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.state import set_controls_from
from qhn_core.jobs.service import default_service
from qhn_core.live.messages import MOST_PINS
from qhn_core.storage.run_zip import export_zip, import_zip
from qhn_core.storage.runs import RunInfo, RunStore

# The long column is the last: a narrow window cuts it off, and no number.
COLUMNS = {
    "when": st.column_config.DatetimeColumn("Started", format="distance", width=125),
    "status": st.column_config.TextColumn("Status", width=85),
    "epoch": st.column_config.NumberColumn("Epoch", width=55),
    "test_bce": st.column_config.NumberColumn(
        "Test BCE", format="%.3f", help="Mean over seeds, last epoch", width=75
    ),
    "test_accuracy": st.column_config.NumberColumn(
        "Accuracy", format="%.3f", help="On the test set", width=75
    ),
    "seconds": st.column_config.NumberColumn("Took, s", format="%.0f", width=65),
    "run": st.column_config.TextColumn("Run", width=620),
}


def table_rows(runs: list[RunInfo]) -> list[dict[str, object]]:
    """Return the rows of the table, one for each run."""
    return [
        {
            "when": run.created,
            "status": run.status,
            "epoch": run.epoch,
            "test_bce": run.test_bce,
            "test_accuracy": run.test_accuracy,
            "seconds": run.seconds,
            "run": f"{run.name}: {run.words}" if run.name else run.words,
        }
        for run in runs
    ]


def open_run(run_id: str, beside: list[str]) -> None:
    """Show a run on the Train page, set the controls to its settings, and pin other runs beside it."""
    job = default_service().get(run_id)
    if job is None:
        st.error("This run can no longer be read.")
        return
    show(job)
    set_controls_from(job.config)
    pins = {"pins": ",".join(beside)} if beside else {}
    st.switch_page("train.py", query_params={"run": run_id, **pins})


@st.cache_data(max_entries=8, show_spinner=False)
def zipped(_store: RunStore, run_id: str, updated: str) -> bytes | None:
    """Return a run as a zip; `updated` makes a newer checkpoint another entry of the cache."""
    run = _store.load(run_id)
    if run is None or run.state is None:
        return None
    return export_zip(run)


@st.dialog("Delete")
def confirm_delete(store: RunStore, chosen: list[RunInfo]) -> None:
    """Ask before runs are deleted."""
    st.write(f"Delete {len(chosen)} run{'s' if len(chosen) > 1 else ''}? This can't be undone.")
    if st.button("Delete", type="primary"):
        for run in chosen:
            default_service().forget(run.id)
            store.delete(run.id)
        st.rerun()


def actions(store: RunStore, chosen: list[RunInfo]) -> None:
    """Draw the buttons for the selected runs, and act on a press."""
    one = chosen[0] if len(chosen) == 1 else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if st.button("Open", type="primary", disabled=one is None) and one:
            open_run(one.id, [])
        few = 2 <= len(chosen) <= MOST_PINS
        compare = st.button("Compare", disabled=not few, help=f"Two to {MOST_PINS} runs in one chart")
        if compare and few:
            open_run(chosen[0].id, [run.id for run in chosen[1:]])
        if st.button("Delete", disabled=not chosen):
            confirm_delete(store, chosen)
        data = zipped(store, one.id, one.updated.isoformat()) if one else None
        st.download_button(
            "Download",
            data or b"",
            f"{one.id if one else 'run'}.zip",
            "application/zip",
            disabled=data is None,
        )
        name = st.text_input(
            "Name",
            one.name if one else "",
            disabled=one is None,
            max_chars=80,
            key=f"name-{one.id if one else ''}",
        )
        if one and name != one.name:
            try:
                store.rename(one.id, name)
            except ValueError as error:
                st.error(plain(error))
            else:
                st.rerun()


def import_run(store: RunStore) -> None:
    """Import a zip that was downloaded here or from another machine."""
    upload = st.file_uploader("Import a run", type="zip", key="import")
    if upload is None or visitor().imported == upload.file_id:
        return
    try:
        most = default_service().limits.max_run_mb * 10**6
        run = import_zip(upload.getvalue(), most, most)
        default_service().check_opening(run.config)
        run_id = store.add(run)
    except ValueError as error:
        st.error(f"{plain(upload.name)} was not imported. {plain(error)}")
    else:
        visitor().imported = upload.file_id
        st.toast(f"Imported as {plain(run_id)}")
        st.rerun()


store = default_service().store
if store is None:
    st.warning(plain(default_service().store_problem) or "Runs are not saved.")
    st.stop()
text = st.text_input("Filter", placeholder="words of the configuration or the name, such as: moons elbo")
runs = [
    run
    for run in store.runs(st.text)
    if all(word in f"{run.name} {run.words} {run.status}".lower() for word in text.lower().split())
]
if runs:
    st.caption("Tick a run to open, name or download it; several to compare or delete them.")
    event = st.dataframe(
        table_rows(runs),
        column_config=COLUMNS,
        hide_index=True,
        placeholder="–",
        on_select="rerun",
        selection_mode="multi-row",
        key="runs " + " ".join(run.id for run in runs),  # another list, another selection
    )
    actions(store, [runs[i] for i in event.selection.rows if i < len(runs)])
else:
    st.info("No run matches." if text else "No run is stored yet. Open Train and press Train.")
import_run(store)
