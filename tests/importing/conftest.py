from servers.bench import bench, folder, ledger, make_bench, sandbox, store

__all__ = ["bench", "folder", "ledger", "make_bench", "sandbox", "store"]
