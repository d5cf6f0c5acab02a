"""What the sandbox knows, one module a resource.

Functions take an open connection (the caller owns the transaction) and return rows; the ``*_reply`` functions
turn a row into the JSON that the recorded server answers with.
"""
