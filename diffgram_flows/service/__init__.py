"""The brain service: brains that are asked over HTTP.

It offers the endpoints that the ``brain`` folder of Diffgram's official SDK calls, which the open-source Diffgram does
not have any more, and its own ones under ``/v1``. It shows images to the champion, and to the next one as soon as that
is loaded; nobody notices but by the answers.
"""

from diffgram_flows.service.app import create_app
from diffgram_flows.service.server import serve
from diffgram_flows.service.settings import ServiceSettings

__all__ = ["ServiceSettings", "create_app", "serve"]
