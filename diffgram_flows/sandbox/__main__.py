"""``python -m diffgram_flows.sandbox --data FOLDER``: run a sandbox server until it is interrupted."""

from __future__ import annotations

import sys

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.server import main

if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as error:
        sys.exit(str(error))
