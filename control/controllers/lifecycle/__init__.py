"""Controllers of objects' lives: namespaces, ownership, certificates, what must exist, what expires."""
