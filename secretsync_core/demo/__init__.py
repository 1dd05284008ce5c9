"""``secretsync demo``: the paper's example between two real OpenBao servers on this machine."""
