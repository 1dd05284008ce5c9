"""What the software must survive, from end to end: real servers, a proxy that misbehaves, processes that are killed."""
