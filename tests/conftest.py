"""What all tests share: runs are stored in a folder of their own, never in the user's."""

import os
import tempfile

_home = tempfile.TemporaryDirectory(prefix="qhn-tests-")
os.environ["QHN_HOME"] = _home.name
