import io
import zipfile

from qhn_core.storage.runs import RunStore
from tests.app.conftest import as_read

HOSTILE = "![x](https://example.org/x.png) [y](https://example.org)"


def test_member_names_of_a_zip_are_shown_as_text(visit, service, tmp_path):
    service.registry.store = RunStore(tmp_path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(HOSTILE, b"{}")
    page = visit("runs")
    page.at.file_uploader[0].set_value(("run.zip", buffer.getvalue(), "application/zip"))
    page.look()
    [message] = [e.value for e in page.at.error]
    assert HOSTILE in as_read(message)
    assert "![" not in message
    assert "](" not in message
