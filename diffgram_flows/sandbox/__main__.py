"""``python -m diffgram_flows.sandbox --data FOLDER``: run a sandbox server until it is interrupted."""

from __future__ import annotations

import sys
from contextlib import suppress

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.server import main

if __name__ == "__main__":
    try:
        with suppress(KeyboardInterrupt):  # the way to stop it; everything is closed by then
            main()
    except ConfigurationError as error:
        sys.exit(str(error))
