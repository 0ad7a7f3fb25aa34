"""The fault drill: breaks a running system in every way of a list, and proves by an independent
witness that nobody was lost, nobody was mailed twice, and the ledger says what happened.

A `Rig` is the running system, a `Fault` is one way to break it, a `Scene` is one edition sent while
a fault strikes; `invariants` compares what the mail server saw with what the ledger says.
"""
