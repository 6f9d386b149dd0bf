"""ResourceQuota: what an object uses, which quotas count it, and whether there is room."""
