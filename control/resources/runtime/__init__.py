"""The rules of the kinds in node.k8s.io; `node` itself is the name of a module beside."""
