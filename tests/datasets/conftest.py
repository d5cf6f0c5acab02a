from servers.bench import folder, ledger, make_bench, sandbox, store
from servers.shelf import shelf
from servers.studio import make_studio, studio

__all__ = ["folder", "ledger", "make_bench", "make_studio", "sandbox", "shelf", "store", "studio"]
