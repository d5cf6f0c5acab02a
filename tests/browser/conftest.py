from servers.browser import chromium, page, site

__all__ = ["chromium", "page", "site"]
