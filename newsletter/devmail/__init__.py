"""A small mail server that keeps what it is given, relays nothing and misbehaves on request.

`session` speaks SMTP without a socket, `server` gives it one, `script` says when to misbehave,
`witness` and `store` keep what was accepted, `web` shows it, `peer` runs all of it in a thread.
"""
