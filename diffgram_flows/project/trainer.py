"""The process that trains: ``python -m diffgram_flows.project.trainer``, started by ``project.train.start``.

The order comes as one line on its standard input, so no secret is in an argument, a file or the environment. The end of
that input means that whoever ordered the training is gone: then it stops, and leaves nothing half done behind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from diffgram_flows.diffgram import without_secrets
from diffgram_flows.errors import BrainError, DiffgramFlowsError
from diffgram_flows.project.training_status import FOLDER, StatusFile, TrainingStatus
from diffgram_flows.project.training_steps import Order, train_and_judge

_PATIENCE = 20.0  # seconds to end by itself


def main() -> int:
    """Do what the order says; 0 if there is a new brain."""
    # A shell that starts a script in the background has it ignore this signal, and us with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    order = Order(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_stop_with_input, daemon=True).start()
    file = StatusFile(Path(order.workdir) / FOLDER, order.name)
    last = TrainingStatus("queued")

    def tell(status: TrainingStatus) -> None:
        nonlocal last
        last = status
        file.write(status)

    try:
        file.write(train_and_judge(order, tell))
    except DiffgramFlowsError as error:
        file.write(last.failed(error))
    except KeyboardInterrupt:
        file.write(last.failed(_stopped(order.name)))
    except Exception as error:  # what nobody foresaw: the trace is in the log, its kind in the status
        sys.stderr.write(without_secrets(traceback.format_exc()))
        file.write(last.failed(_broken(order.name, error, file.log)))
    else:
        return 0
    return 1


def _stop_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)  # reaches the main thread, also where it waits for the network
    time.sleep(_PATIENCE)
    os._exit(1)


def _stopped(name: str) -> BrainError:
    return BrainError(f"The training of {name!r} was stopped.", cure="Start it again when it suits you.")


def _broken(name: str, error: Exception, log: Path) -> BrainError:
    return BrainError(f"The training of {name!r} broke with a {type(error).__name__}.", cure=f"Read {log}.")


if __name__ == "__main__":
    sys.exit(main())
