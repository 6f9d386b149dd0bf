"""Controllers of storage: claims get their volumes, and volumes outlive their claims."""
