from servers.browser import chromium

__all__ = ["chromium"]
